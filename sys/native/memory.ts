/**
 * Memory for the native loop, outside of the engine's heap (which a clone does not copy), and the loop itself.
 */

import { syscall, syscallWide } from "../syscall.ts";
import { code } from "./code.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** Fresh pages, zeroed and writable; freed at the end of the scope, after which `bytes` must not be touched. */
export class Arena implements Disposable {
  readonly address: bigint;
  readonly bytes: Uint8Array;

  /**
   * @param size in bytes
   * @throws {SysError} `mmap`: ENOMEM
   */
  constructor(size: number) {
    this.address = syscallWide("mmap", [0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0]);
    const pointer = Deno.UnsafePointer.create(this.address);
    if (pointer === null) throw new Error("mapped memory is at address 0");
    this.bytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, size));
  }

  [Symbol.dispose](): void {
    syscall("munmap", [this.address, this.bytes.length]);
  }
}

const SIGNATURE = { parameters: ["usize"], result: "void" } as const;

let loop: ((header: bigint) => void) | undefined;

/**
 * Runs the native loop on the header at an address. Returns in the parent only.
 *
 * @see layout.ts
 */
export function runNative(header: bigint): void {
  loop ??= loadCode();
  loop(header);
}

/**
 * Loaded once and kept, as a shared library is. The page is never writable and executable at once. On arm64 no cache
 * needs to be flushed here: the kernel does so when it makes a written page executable for the first time.
 */
function loadCode(): (header: bigint) => void {
  const bytes = code();
  const arena = new Arena(bytes.length);
  arena.bytes.set(bytes);
  syscall("mprotect", [arena.address, bytes.length, PROT_READ | PROT_EXEC]);
  const pointer = Deno.UnsafePointer.create<typeof SIGNATURE>(arena.address);
  if (pointer === null) throw new Error("mapped memory is at address 0");
  const run = new Deno.UnsafeFnPointer(pointer, SIGNATURE);
  return (address) => run.call(address);
}
