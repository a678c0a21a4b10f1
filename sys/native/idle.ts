/**
 * The smallest program: it waits for ever, in a few pages of memory, where a child that has not executed anything would
 * keep its parent's.
 *
 * @module
 */

import { arch } from "../syscall.ts";

/** Machine code of idle_x86_64.S and idle_aarch64.S, base64; a test compares them. */
export const IDLE = {
  x86_64: "vw8AAABIjTUZAAAAuJ0AAAAPBTH/MfYx0kUx0rgPAQAADwXr7nBhdXNlAA==",
  aarch64: "4AGA0kEBABDoFIDSAQAA1AAAgNIBAIDSAgCA0gMAgNIoCYDSAQAA1Pr//xdwYXVzZQA=",
} as const;

const MACHINES = { x86_64: 62, aarch64: 183 };
const [FILE_HEADER, PROGRAM_HEADER] = [64, 56];
const ADDRESS = 0x400000n;
const PAGE = 0x10000n;

/** The program as a static executable: one segment, which the headers are part of. See elf(5). */
export function idleExecutable(): Uint8Array<ArrayBuffer> {
  const code = Uint8Array.fromBase64(IDLE[arch]);
  const start = FILE_HEADER + PROGRAM_HEADER;
  const elf = new Uint8Array(start + code.length);
  const view = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, MACHINES[arch], true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, ADDRESS + BigInt(start), true);
  view.setBigUint64(32, BigInt(FILE_HEADER), true);
  view.setUint16(52, FILE_HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 1, true);
  const [LOAD, READ, EXECUTE] = [1, 4, 1];
  view.setUint32(FILE_HEADER, LOAD, true);
  view.setUint32(FILE_HEADER + 4, READ | EXECUTE, true);
  view.setBigUint64(FILE_HEADER + 16, ADDRESS, true);
  view.setBigUint64(FILE_HEADER + 24, ADDRESS, true);
  view.setBigUint64(FILE_HEADER + 32, BigInt(elf.length), true);
  view.setBigUint64(FILE_HEADER + 40, BigInt(elf.length), true);
  view.setBigUint64(FILE_HEADER + 48, PAGE, true);
  elf.set(code, start);
  return elf;
}
