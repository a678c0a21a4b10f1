/**
 * The keys of configuration.toml: the one definition of their names, types and limits; their documentation is in
 * `texts/`, one entry per key. Names, defaults and rules follow Kata Containers' configuration, so that its
 * files can be used as they are.
 */

import type { Values } from "./key.ts";
import { HYPERVISOR } from "./schema/hypervisor.ts";
import { AGENT, FACTORY, RUNTIME } from "./schema/runtime.ts";

/** Monitors that can be chosen. */
export const HYPERVISORS = ["qemu"] as const;
export type HypervisorName = typeof HYPERVISORS[number];

/** All settings, with the names that they have in the file. */
export interface Config {
  /** `name` is the table's: `[hypervisor.<name>]`. */
  hypervisor: Values<typeof HYPERVISOR> & { name: HypervisorName };
  runtime: Values<typeof RUNTIME>;
  agent: Values<typeof AGENT>;
  factory: Values<typeof FACTORY>;
}

/** Tables of the file by name, in the order in which they are read. */
export const SECTIONS = { hypervisor: HYPERVISOR, runtime: RUNTIME, agent: AGENT, factory: FACTORY } as const;
export type SectionName = keyof typeof SECTIONS;

/** Tables as they are called in the file. */
export function tableName(section: SectionName, hypervisor: HypervisorName): string {
  if (section === "hypervisor") return `hypervisor.${hypervisor}`;
  return section === "agent" ? "agent.kata" : section;
}
