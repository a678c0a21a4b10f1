/**
 * What a sealed executable is.
 *
 * The stock runtime program is copied and one loadable segment is added to it. The segment replaces the
 * program header of the notes (`PT_NOTE`), which nothing needs at run time, so that no other byte moves:
 *
 * ```text
 * stock program │ modules │ entry code │ parameters │ strings │ script
 *                           └──────── the new segment ─────────────┘
 * ```
 *
 * The kernel starts the dynamic linker as before, and that starts the entry code in place of the program's
 * own. The entry code
 *
 * 1. mounts `/proc` if it is process 1 and there is none (a guest's `/init`),
 * 2. writes the script into a memory file, closed on exec,
 * 3. builds a new argument vector: `argv[0]`, the runtime's arguments, the memory file's path, the
 *    caller's arguments,
 * 4. builds a new environment: the runtime's settings, then the caller's without the variables that would
 *    change how the runtime works, and gives it to the C library,
 * 5. gives back the memory of the relocation tables, which the dynamic linker has read from end to end and
 *    nobody reads again: 4 MiB of each process,
 * 6. jumps to the program's own entry point.
 *
 * The kernel's copies (`/proc/self/cmdline`, `/proc/self/environ`) stay what the caller passed: `ps` shows
 * the caller's words, and the script finds its `argv[0]` and `HOME` there.
 *
 * @module
 */

/** What the entry code is told; addresses are those of the file, before it is loaded anywhere. */
export interface Parameters {
  /** Address of the parameters themselves. */
  self: number;
  /** Address of the program's own entry point. */
  entry: number;
  /** Address of the cell that holds the address of the C library's `environ`. */
  environ: number;
  /** The script, as text. */
  script: string;
  /** Arguments to insert behind `argv[0]`. */
  args: readonly string[];
  /** Environment entries to add, as `NAME=value`. */
  settings: readonly string[];
  /** Beginnings of environment entries to leave out, such as `HOME=`. */
  dropped: readonly string[];
  /** Address and size of what only the dynamic linker reads, in whole pages; a size of 0 for none. */
  spent: { address: number; size: number };
}

/** Thirteen 64-bit fields, in the order of the `P_` constants of `entry_*.S`. */
const HEADER_BYTES = 13 * 8;

/** Lays out parameters, strings and script, little-endian, to stand directly behind the entry code. */
export function encodeParameters(parameters: Parameters): Uint8Array<ArrayBuffer> {
  const lists = [parameters.args, parameters.settings, parameters.dropped];
  for (const text of lists.flat()) {
    if (text.includes("\0")) throw new RangeError(`a string for the entry code holds a NUL: "${text}"`);
    if (text === "") throw new RangeError("a string for the entry code is empty");
  }
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = lists.map((list) => encoder.encode(list.map((text) => text + "\0").join("")));
  const script = encoder.encode(parameters.script);
  parts.push(script);

  const offsets: number[] = [];
  let size = HEADER_BYTES;
  for (const part of parts) {
    offsets.push(size);
    size += part.length;
  }
  const [args = 0, settings = 0, dropped = 0, scriptAt = 0] = offsets;
  const fields = [
    parameters.self,
    parameters.entry,
    parameters.environ,
    scriptAt,
    script.length,
    args,
    parameters.args.length,
    settings,
    parameters.settings.length,
    dropped,
    parameters.dropped.length,
    parameters.spent.address,
    parameters.spent.size,
  ];

  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  fields.forEach((field, i) => view.setBigUint64(i * 8, BigInt(field), true));
  parts.forEach((part, i) => bytes.set(part, offsets[i]));
  return bytes;
}
