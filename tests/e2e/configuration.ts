/**
 * Configurations for tests: the program's own one with changes.
 *
 * @module
 */

import { programUnderTest } from "./program.ts";

/** Keys by table, as in the file. */
export interface ConfigurationChange {
  readonly hypervisor?: Readonly<Record<string, string | number | boolean>>;
  readonly agent?: Readonly<Record<string, string | number | boolean>>;
  readonly runtime?: Readonly<Record<string, string | number | boolean>>;
}

/** Writes a `configuration.toml` into a folder and returns its path. */
export function writeConfiguration(folder: string, change: ConfigurationChange = {}): string {
  const beside = programUnderTest().replace(/\/[^/]*$/, "");
  const tables = {
    "hypervisor.qemu": {
      kernel: `${beside}/vmlinux`,
      initrd: `${beside}/kata-initrd.img`,
      default_memory: 512,
      ...change.hypervisor,
    },
    // many machines may boot at once, and without hardware support
    runtime: { create_container_timeout: 300, ...change.runtime },
    "agent.kata": { dial_timeout: 120, ...change.agent },
  };
  const lines = Object.entries(tables).flatMap(([name, keys]) => [
    `[${name}]`,
    ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
  ]);
  const path = `${folder}/configuration.toml`;
  Deno.writeTextFileSync(path, `${lines.join("\n")}\n`);
  return path;
}
