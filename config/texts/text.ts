/** The documentation of a key. Nothing of `texts/` is loaded when the shim starts. */

import type { Section } from "../key.ts";

/** One key's explanation. */
export interface Text {
  /** One sentence or more: what it is about, and what special values mean. */
  readonly doc: string;
  /** What it changes: an option of QEMU, a parameter, what the host does. */
  readonly effect: string;
  /** Heading over this key and those behind it. */
  readonly group?: string;
  /** Value that the default file has without a comment sign before it, as TOML. */
  readonly shipped?: string;
  /** The default as TOML, where it depends on the machine. */
  readonly default?: string;
  /** A value to show where the default says nothing, as TOML. */
  readonly example?: string;
}

/** An explanation for each key of a section, and no other. */
export type Texts<S extends Section> = { readonly [K in keyof S]: Text };
