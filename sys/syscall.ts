import { AARCH64 } from "./abi/aarch64.ts";
import { X86_64 } from "./abi/x86_64.ts";
import { ERRNO, SysError } from "./errors.ts";

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
 * `syscall()` of libc once per combination of arguments that are memory: bit n of the index is set where argument
 * n is. Only the "buffer" parameter type lets Deno pass the address of an array without a second call, and a symbol's
 * parameter types are fixed. Each is opened when first needed, as opening costs about 0.3 ms (in an emulated machine
 * 8 ms). Index 0, for numbers only, serves small memory of any combination too: see {@linkcode smallArena}.
 */
const natives: (Native | undefined)[] = [];
const nativesWide: (NativeWide | undefined)[] = [];

// errno of this thread. All calls of this file are made by the thread that runs JavaScript, so the address is constant.
let errnoView: Int32Array | undefined;

function openNative(mask: number, result: "i32" | "i64") {
  const parameters: Deno.NativeType[] = ["i64"];
  for (let i = 0; i < 6; i++) parameters.push(mask & (1 << i) ? "buffer" : "i64");
  const library = Deno.dlopen(LIBC, { call: { name: "syscall", parameters, result } });
  // The types that Deno infers for a table built at run time know neither arguments nor result.
  return library.symbols.call as unknown;
}

function errno(): Int32Array {
  if (errnoView) return errnoView;
  const library = Deno.dlopen(LIBC, {
    location: { name: "__errno_location", parameters: [], result: "pointer" },
  });
  const pointer = library.symbols.location();
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
 * Memory for small arguments. Whatever their combination, a call that passes addresses as numbers needs one symbol;
 * a program that has just started would otherwise spend most of its time opening symbols for its first calls.
 */
const ARENA_SIZE = 2048;
let arena: { readonly bytes: Uint8Array; readonly address: number } | undefined;

function smallArena(): { readonly bytes: Uint8Array; readonly address: number } {
  if (arena) return arena;
  const { bytes, address } = new Pinned(ARENA_SIZE);
  return arena = { bytes, address: Number(address) };
}

/** Copies of the arguments' memory begin at multiples of this. */
const ALIGNMENT = 8;

/** What the arguments need in the arena; more than it has if they cannot go there. */
function arenaBytes(args: readonly SyscallArg[]): number {
  let size = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (typeof arg === "object" && arg !== null) size += roomFor(arg);
  }
  return size;
}

function roomFor(memory: Uint8Array): number {
  return (memory.length + ALIGNMENT - 1) & -ALIGNMENT;
}

/** The arguments with addresses of copies in the place of memory. */
function intoArena(args: readonly SyscallArg[]): SyscallArg[] {
  const { bytes, address } = smallArena();
  const numbers: SyscallArg[] = [];
  let at = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? null;
    if (typeof arg !== "object" || arg === null) {
      numbers.push(arg);
      continue;
    }
    // Byte by byte, as for so few a call of set() takes longer.
    for (let j = 0; j < arg.length; j++) bytes[at + j] = arg[j] ?? 0;
    numbers.push(address + at);
    at += roomFor(arg);
  }
  return numbers;
}

/** Takes back what the kernel has written. */
function fromArena(args: readonly SyscallArg[]): void {
  const { bytes } = smallArena();
  let at = 0;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (typeof arg !== "object" || arg === null) continue;
    for (let j = 0; j < arg.length; j++) arg[j] = bytes[at + j] ?? 0;
    at += roomFor(arg);
  }
}

/**
 * Makes a system call and returns its result, or the negative error number. Interrupted calls are repeated, except
 * `close`, which has closed even then. The call runs on the thread of JavaScript: it must not block.
 *
 * @param args at most six; memory must not be empty where the kernel looks at its address
 */
export function trySyscall(name: SyscallName, args: readonly SyscallArg[]): number {
  const mask = maskOf(args);
  // Reads and writes of streams go the direct way, whose symbol is opened anyway, without copies.
  if (mask === 0 || mask === STREAM_MASK || arenaBytes(args) > ARENA_SIZE) return tryDirect(name, mask, args);
  const result = tryDirect(name, 0, intoArena(args));
  fromArena(args);
  return result;
}

/** Memory as the second argument alone: read, write. */
const STREAM_MASK = 0b10;

function tryDirect(name: SyscallName, mask: number, args: readonly SyscallArg[]): number {
  const call = natives[mask] ?? native(mask);
  const nr = NR[name];
  const [a, b, c, d, e, f] = args;
  for (;;) {
    const result = call(nr, a ?? 0, b ?? 0, c ?? 0, d ?? 0, e ?? 0, f ?? 0);
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
    const result = call(NR[name], a ?? 0, b ?? 0, c ?? 0, d ?? 0, e ?? 0, f ?? 0);
    if (result !== -1n) return result;
    const error = errno()[0] ?? ERRNO.EIO;
    if (error !== ERRNO.EINTR) throw new SysError(name, error, subject);
  }
}

const encoder = new TextEncoder();

/**
 * The text as C has it: UTF-8 and a NUL.
 *
 * @throws {TypeError} if the text has a NUL inside, which would silently cut a path short
 */
export function cstr(text: string): Uint8Array {
  if (text.includes("\0")) throw new TypeError(`a NUL is inside ${JSON.stringify(text)}`);
  return encoder.encode(text + "\0");
}

const decoder = new TextDecoder();

/** The text at `offset` of `bytes` up to the first NUL or the end. */
export function fromCstr(bytes: Uint8Array, offset = 0): string {
  const end = bytes.indexOf(0, offset);
  return decoder.decode(bytes.subarray(offset, end < 0 ? bytes.length : end));
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
