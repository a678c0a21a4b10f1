/**
 * The XZ container with LZMA2, as kernels and their modules are compressed with, including the filter for
 * x86 code that kernels use.
 *
 * Written after the published description of the file format, version 1.2.
 *
 * @module
 */

import { crc32, crc64 } from "./crc.ts";
import { DecompressError } from "./errors.ts";
import { LzmaDecoder } from "./lzma.ts";
import { decodeX86 } from "./x86_filter.ts";

/** How every XZ file starts. */
export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;

const FILTER = { X86: 0x04, LZMA2: 0x21 } as const;
const CHECK = { NONE: 0, CRC32: 1, CRC64: 4 } as const;
const STREAM_HEADER_BYTES = 12;

interface Block {
  /** Where the compressed data starts. */
  start: number;
  /** Position that the x86 filter starts counting from, when that filter is used. */
  x86From: number | undefined;
}

/**
 * Decompresses one XZ stream; what follows its last block is not looked at.
 *
 * @param expectedSize bytes to reserve for the result; it grows if there are more
 * @throws {DecompressError} when the data is broken or uses what kernels do not
 */
export function decompressXz(bytes: Uint8Array, expectedSize = bytes.length * 4): Uint8Array<ArrayBuffer> {
  if (!XZ_MAGIC.every((byte, i) => bytes[i] === byte)) throw new DecompressError("xz: not an XZ file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const check = bytes[7] ?? 0;
  const checkSize = sizeOfCheck(check);
  expectCrc32(view, bytes, 6, 2, "stream header");

  const decoder = new LzmaDecoder(expectedSize);
  let at = STREAM_HEADER_BYTES;
  // a block header starts with its size; a zero there is the index, behind the last block
  while (byte(bytes, at) !== 0) {
    const block = readBlockHeader(view, bytes, at);
    const begin = decoder.length;
    const end = decodeLzma2(decoder, bytes, block.start);
    const content = decoder.output.subarray(begin, decoder.length);
    if (block.x86From !== undefined) decodeX86(content, block.x86From);
    const padded = block.start + ((end - block.start + 3) & ~3);
    expectCheck(view, padded, check, content);
    at = padded + checkSize;
  }
  return decoder.output.length === decoder.length ? decoder.output : decoder.output.slice(0, decoder.length);
}

function readBlockHeader(view: DataView, bytes: Uint8Array, at: number): Block {
  const size = (byte(bytes, at) + 1) * 4;
  expectCrc32(view, bytes, at, size - 4, "block header");
  const flags = byte(bytes, at + 1);
  let next = at + 2;
  const number = (): number => {
    let value = 0;
    for (let factor = 1;; factor *= 128) {
      const b = byte(bytes, next++);
      value += (b & 0x7f) * factor;
      if (b < 0x80) return value;
    }
  };
  if (flags & 0x40) number(); // compressed size
  if (flags & 0x80) number(); // uncompressed size
  let x86From: number | undefined;
  for (let filters = (flags & 3) + 1; filters > 0; filters--) {
    const id = number();
    const properties = number();
    if (id === FILTER.X86 && filters > 1) {
      x86From = properties === 4 ? view.getUint32(next, true) : 0;
    } else if (id !== FILTER.LZMA2 || filters !== 1) {
      throw new DecompressError(`xz: filter 0x${id.toString(16)} is not supported`);
    }
    next += properties;
  }
  return { start: at + size, x86From };
}

/** Decodes LZMA2 chunks and returns where they end. */
function decodeLzma2(decoder: LzmaDecoder, bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const control = byte(bytes, at++);
    if (control === 0) return at;
    if (control === 1 || control >= 0xe0) decoder.resetDictionary();
    const low = (byte(bytes, at) << 8) + byte(bytes, at + 1) + 1;
    at += 2;
    if (control < 0x80) {
      if (control > 2) throw new DecompressError(`xz: chunk of unknown kind ${control}`);
      decoder.copy(slice(bytes, at, low));
      at += low;
      continue;
    }
    const size = ((control & 0x1f) << 16) + low;
    const compressed = (byte(bytes, at) << 8) + byte(bytes, at + 1) + 1;
    at += 2;
    if (control >= 0xc0) decoder.setProperties(byte(bytes, at++));
    if (control >= 0xa0) decoder.resetState();
    decoder.decode(slice(bytes, at, compressed), size);
    at += compressed;
  }
}

function sizeOfCheck(check: number): number {
  switch (check) {
    case CHECK.NONE:
      return 0;
    case CHECK.CRC32:
      return 4;
    case CHECK.CRC64:
      return 8;
    default:
      throw new DecompressError(`xz: check of kind ${check} is not supported`);
  }
}

function expectCheck(view: DataView, at: number, check: number, content: Uint8Array): void {
  if (at + sizeOfCheck(check) > view.byteLength) throw new DecompressError("xz: the data ends too early");
  if (check === CHECK.CRC32 && view.getUint32(at, true) !== crc32(content)) {
    throw new DecompressError("xz: the content does not match its checksum");
  }
  if (check === CHECK.CRC64) {
    const [low, high] = crc64(content);
    if (view.getUint32(at, true) !== low || view.getUint32(at + 4, true) !== high) {
      throw new DecompressError("xz: the content does not match its checksum");
    }
  }
}

function expectCrc32(view: DataView, bytes: Uint8Array, at: number, size: number, what: string): void {
  if (at + size + 4 > bytes.length) throw new DecompressError("xz: the data ends too early");
  if (view.getUint32(at + size, true) !== crc32(bytes.subarray(at, at + size))) {
    throw new DecompressError(`xz: the ${what} does not match its checksum`);
  }
}

function slice(bytes: Uint8Array, at: number, size: number): Uint8Array {
  if (at + size > bytes.length) throw new DecompressError("xz: the data ends too early");
  return bytes.subarray(at, at + size);
}

function byte(bytes: Uint8Array, at: number): number {
  const value = bytes[at];
  if (value === undefined) throw new DecompressError("xz: the data ends too early");
  return value;
}
