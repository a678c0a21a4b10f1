/** Values of all keys while they are gathered, each with the place that it came from. */

import type { Origin } from "./error.ts";
import { defaultOf, type Section } from "./key.ts";
import { type Config, type HypervisorName, type SectionName, SECTIONS, tableName } from "./schema.ts";

/** Values by key. */
export type Table = Record<string, unknown>;

export class Settings {
  readonly name: HypervisorName;
  readonly #tables: Record<SectionName, Table>;
  /** the place is only worked out for a message */
  readonly #origins = new Map<string, () => Origin>();
  readonly #broken = new Set<string>();
  readonly #file: string;

  /** All keys with their defaults. @param file the main file, where a missing key should be */
  constructor(name: HypervisorName, file: string) {
    const defaults = (section: Section): Table =>
      Object.fromEntries(Object.entries(section).map(([key, row]) => [key, defaultOf(row)]));
    this.name = name;
    this.#file = file;
    this.#tables = {
      hypervisor: defaults(SECTIONS.hypervisor),
      runtime: defaults(SECTIONS.runtime),
      agent: defaults(SECTIONS.agent),
      factory: defaults(SECTIONS.factory),
    };
  }

  /** The value was checked by the key's row. */
  set(section: SectionName, key: string, value: unknown, origin: () => Origin): void {
    this.#tables[section][key] = value;
    this.#origins.set(`${section}.${key}`, origin);
  }

  get(section: SectionName, key: string): unknown {
    return this.#tables[section][key];
  }

  /** Changes a value, but not where it came from. */
  amend(section: SectionName, key: string, value: unknown): void {
    this.#tables[section][key] = value;
  }

  /** Notes that a value was rejected, so that rules that depend on it are skipped. */
  breakKey(section: SectionName, key: string): void {
    this.#broken.add(`${section}.${key}`);
  }

  isBroken(section: SectionName, key: string): boolean {
    return this.#broken.has(`${section}.${key}`);
  }

  /** Whether somebody set the key, to whatever value. */
  isSet(section: SectionName, key: string): boolean {
    return this.#origins.has(`${section}.${key}`);
  }

  /** Where a value came from; for a default, where it could be set. */
  origin(section: SectionName, key: string): Origin {
    return this.#origins.get(`${section}.${key}`)?.() ?? {
      kind: "default",
      where: this.#file,
      file: this.#file,
      key: `${tableName(section, this.name)}.${key}`,
    };
  }

  /** The values; changes of them change the settings. */
  config(): Config {
    // each table has exactly the keys of its section, and each value was checked by its row
    const { hypervisor, ...others } = this.#tables;
    return { ...others, hypervisor: Object.assign(hypervisor, { name: this.name }) } as unknown as Config;
  }
}
