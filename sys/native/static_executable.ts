/**
 * A syscall program as an executable file: static, without a library, the native loop and what it works on. It can be
 * the first program of a guest, where nothing else is there yet.
 */

import { AARCH64 } from "../abi/aarch64.ts";
import { X86_64 } from "../abi/x86_64.ts";
import type { Program } from "../program.ts";
import { CODE } from "./code.ts";
import { buildImageAlone } from "./image.ts";

/** Architectures that there is a native loop for. */
type Architecture = keyof typeof CODE;

const CODE_ADDRESS = 0x400000n;
/** Where the program's image is in memory. */
export const DATA_ADDRESS = 0x10000000n;

const PAGE = 4096;
const [FILE_HEADER, PROGRAM_HEADER] = [64, 56];
const [LOAD, READ, WRITE, EXECUTE] = [1, 4, 2, 1];

const TARGETS = {
  x86_64: { machine: 62, numbers: X86_64 },
  aarch64: { machine: 183, numbers: AARCH64 },
} as const;

/** The first instruction, which makes the image's address the loop's argument; the loop follows. */
export const ENTRY: Readonly<Record<Architecture, { readonly source: string; readonly bytes: string }>> = {
  x86_64: { source: `.intel_syntax noprefix\nmov edi, ${DATA_ADDRESS}\n`, bytes: "bf00000010" },
  aarch64: { source: `mov x0, #${DATA_ADDRESS}\n`, bytes: "0000a2d2" },
};

/**
 * The executable. It ends with 0 after its last step, with 125 after a failure that it was not allowed.
 *
 * @param program without checkpoints and the like: there is nobody to tell
 */
export function executableOf(arch: Architecture, program: Program): Uint8Array<ArrayBuffer> {
  const image = buildImageAlone(program, TARGETS[arch].numbers);
  image.relocate(DATA_ADDRESS);
  const loop = Uint8Array.fromBase64(CODE[arch].join(""));
  return staticExecutable(
    arch,
    new Uint8Array([...Uint8Array.fromHex(ENTRY[arch].bytes), ...loop]),
    image.bytes,
  );
}

/** A static executable of two segments: code that starts at its first byte, and data. See elf(5). */
export function staticExecutable(
  arch: Architecture,
  code: Uint8Array,
  data: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const dataOffset = PAGE + Math.ceil(code.length / PAGE) * PAGE;
  const elf = new Uint8Array(dataOffset + data.length);
  const view = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, TARGETS[arch].machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, CODE_ADDRESS, true);
  view.setBigUint64(32, BigInt(FILE_HEADER), true);
  view.setUint16(52, FILE_HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 2, true);
  const segment = (at: number, flags: number, offset: number, address: bigint, size: number) => {
    view.setUint32(at, LOAD, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, address, true);
    view.setBigUint64(at + 24, address, true);
    view.setBigUint64(at + 32, BigInt(size), true);
    view.setBigUint64(at + 40, BigInt(size), true);
    view.setBigUint64(at + 48, BigInt(PAGE), true);
  };
  segment(FILE_HEADER, READ | EXECUTE, PAGE, CODE_ADDRESS, code.length);
  segment(FILE_HEADER + PROGRAM_HEADER, READ | WRITE, dataOffset, DATA_ADDRESS, data.length);
  elf.set(code, PAGE);
  elf.set(data, dataOffset);
  return elf;
}
