/**
 * How this runtime is registered with a container engine.
 *
 * @module
 */

/** A file system to look at: that of this machine, or a folder that will become one. */
export interface Machine {
  /** @returns a file's text; undefined: there is none */
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** Whether a program is in one of the usual folders. @returns its path */
  program(name: string): string | undefined;
  /** What a program prints when it is asked for its version; undefined: it cannot be run */
  version(path: string): Promise<string | undefined>;
}

/** How an edited file is told apart from what its owner wrote. */
export type EditForm = "block" | "json";

/** What to do about an engine. */
export interface Registration {
  readonly engine: string;
  /** a file of its own, or an edit of one that may be there; undefined: nothing is done */
  readonly change?:
    | { readonly kind: "file"; readonly path: string; readonly text: string }
    | { readonly kind: "edit"; readonly path: string; readonly form: EditForm; readonly text: string };
  /** why nothing is done, or what is left to do */
  readonly notes: readonly string[];
}

/** Paths of the installed parts, as written into engines' files. */
export interface Places {
  readonly shim: string;
  readonly configuration: string;
}

/** Name by which containerd's clients ask for the runtime. */
export const RUNTIME_TYPE = "io.containerd.kata.v2";

/** The first version number in a text; undefined: there is none. */
export function versionIn(text: string | undefined): { major: number; text: string } | undefined {
  const match = /\bv?(\d+)\.\d+(?:\.\d+)?/.exec(text ?? "");
  return match ? { major: Number(match[1]), text: match[0].replace(/^v/, "") } : undefined;
}
