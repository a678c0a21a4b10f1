import { AARCH64 } from "./abi/aarch64.ts";
import { X86_64 } from "./abi/x86_64.ts";
import { ERRNO, SysError } from "./errors.ts";
import { decodeName, encodeName } from "./names.ts";

/** A system call that both architectures have. */
export type SyscallName = keyof typeof X86_64 & keyof typeof AARCH64;

/** The architecture this program runs on. */
export const arch: "x86_64" | "aarch64" = Deno.build.arch;

/** System call numbers of the running architecture. */
export const NR: Readonly<Record<SyscallName, number>> = arch === "x86_64" ? X86_64 : AARCH64;

/** One argument of a system call: a number, memory that is passed by address for the time of the call, or NULL. */
export type SyscallArg = number | bigint | Uint8Array | null;

type Native = (nr: number, ...args: SyscallArg[]) => number;
type NativeWide = (nr: number, ...args: SyscallArg[]) => bigint;

const LIBC = "libc.so.6";

/**
 * One more argument than the callee takes, a structure of one byte by value: C functions do not see it, and the caller
 * takes it off the stack. For symbols with a structure Deno compiles no call path of machine code of their own. That
 * path saves 0.1 µs a call once V8 has optimised the caller, but costs 0.9 ms per symbol to make (0.04 ms without), and
 * in a machine without hardware virtualisation 80 ms for the first and 8 ms for each further one.
 */
const UNSEEN_TYPE = { struct: ["u8"] } as const;
const UNSEEN = new Uint8Array(1);

/**
 * `syscall()` of libc once per combination of arguments that are memory: bit n of the index is set where argument
 * n is. Only the "buffer" parameter type lets Deno pass the address of an array without a second call, and a symbol's
 * parameter types are fixed. Each is opened when first needed.
 */
const natives: (Native | undefined)[] = [];
const nativesWide: (NativeWide | undefined)[] = [];

// errno of this thread. All calls of this file are made by the thread that runs JavaScript, so the address is constant.
let errnoView: Int32Array | undefined;

function openNative(mask: number, result: "i32" | "i64") {
  const parameters: Deno.NativeType[] = ["i64"];
  for (let i = 0; i < 6; i++) parameters.push(mask & (1 << i) ? "buffer" : "i64");
  parameters.push(UNSEEN_TYPE);
  const library = Deno.dlopen(LIBC, { call: { name: "syscall", parameters, result } });
  // The types that Deno infers for a table built at run time know neither arguments nor result.
  return library.symbols.call as unknown;
}

function errno(): Int32Array {
  if (errnoView) return errnoView;
  const library = Deno.dlopen(LIBC, {
    location: { name: "__errno_location", parameters: [UNSEEN_TYPE], result: "pointer" },
  });
  const pointer = library.symbols.location(UNSEEN);
  if (pointer === null) throw new Error("libc has no errno");
  errnoView = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4));
  return errnoView;
}

function maskOf(args: readonly SyscallArg[]): number {
  let mask = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (typeof arg === "object" && arg !== null) mask |= 1 << i;
  }
  return mask;
}

function native(mask: number): Native {
  errno(); // before the call: opening the symbol after it would overwrite what it is to report
  return natives[mask] = openNative(mask, "i32") as Native;
}

function nativeWide(mask: number): NativeWide {
  errno();
  return nativesWide[mask] = openNative(mask, "i64") as NativeWide;
}

/**
 * Makes a system call and returns its result, or the negative error number. Interrupted calls are repeated, except
 * `close`, which has closed even then. The call runs on the thread of JavaScript: it must not block.
 *
 * @param args at most six; memory must not be empty where the kernel looks at its address
 */
export function trySyscall(name: SyscallName, args: readonly SyscallArg[]): number {
  const mask = maskOf(args);
  const call = natives[mask] ?? native(mask);
  const nr = NR[name];
  const [a, b, c, d, e, f] = args;
  for (;;) {
    const result = call(nr, a ?? 0, b ?? 0, c ?? 0, d ?? 0, e ?? 0, f ?? 0, UNSEEN);
    if (result !== -1) return result;
    const error = errno()[0] ?? ERRNO.EIO;
    if (error !== ERRNO.EINTR || name === "close") return -error;
  }
}

/**
 * Makes a system call.
 *
 * @param subject the path, id or descriptor that an error shall name
 * @returns the result as a signed 32-bit number
 * @throws {SysError} what the kernel answered
 */
export function syscall(name: SyscallName, args: readonly SyscallArg[], subject?: string): number {
  const result = trySyscall(name, args);
  if (result < 0) throw new SysError(name, -result, subject);
  return result;
}

/**
 * As {@linkcode syscall}, for results that need more than 32 bits (`lseek`, `mmap`, `copy_file_range`).
 *
 * @returns the result as a signed 64-bit number
 * @throws {SysError} what the kernel answered
 */
export function syscallWide(name: SyscallName, args: readonly SyscallArg[], subject?: string): bigint {
  const mask = maskOf(args);
  const call = nativesWide[mask] ?? nativeWide(mask);
  const [a, b, c, d, e, f] = args;
  for (;;) {
    const result = call(NR[name], a ?? 0, b ?? 0, c ?? 0, d ?? 0, e ?? 0, f ?? 0, UNSEEN);
    if (result !== -1n) return result;
    const error = errno()[0] ?? ERRNO.EIO;
    if (error !== ERRNO.EINTR) throw new SysError(name, error, subject);
  }
}

/**
 * The text as C has it: its bytes (names.ts) and a NUL.
 *
 * @throws {TypeError} if the text has a NUL inside, which would silently cut a path short
 */
export function cstr(text: string): Uint8Array {
  if (text.includes("\0")) throw new TypeError(`a NUL is inside ${JSON.stringify(text)}`);
  return encodeName(text + "\0");
}

/** The text at `offset` of `bytes` up to the first NUL or the end. */
export function fromCstr(bytes: Uint8Array, offset = 0): string {
  const end = bytes.indexOf(0, offset);
  return decodeName(bytes.subarray(offset, end < 0 ? bytes.length : end));
}

/**
 * Memory whose address can be written into structures for the kernel: it does not move. The address is good as long
 * as the object is referenced.
 */
export class Pinned {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: bigint;

  /** @param size in bytes */
  constructor(size: number) {
    // V8 may keep small arrays on its moving heap; from 64 bytes on the memory is malloc's, and stays in place.
    this.bytes = new Uint8Array(Math.max(size, 4096)).subarray(0, size);
    this.view = new DataView(this.bytes.buffer, 0, size);
    const pointer = Deno.UnsafePointer.of(this.bytes as Uint8Array<ArrayBuffer>);
    this.address = BigInt(Deno.UnsafePointer.value(pointer));
  }
}
