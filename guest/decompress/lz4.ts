/**
 * LZ4 in the "legacy" framing that kernels are compressed with (`lz4 -l`).
 *
 * Written after the published descriptions of the block and frame formats.
 *
 * @module
 */

import { DecompressError } from "./errors.ts";

/** How every legacy LZ4 file starts. */
export const LZ4_LEGACY_MAGIC = [0x02, 0x21, 0x4c, 0x18] as const;

/** Every block but the last holds this much. */
const BLOCK_BYTES = 8 * 1024 * 1024;
const SHORTEST_MATCH = 4;

/**
 * Decompresses a legacy LZ4 file.
 *
 * @throws {DecompressError} when the data is broken
 */
export function decompressLz4(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!LZ4_LEGACY_MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new DecompressError("lz4: not a file of the legacy format");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: Uint8Array[] = [];
  for (let at = LZ4_LEGACY_MAGIC.length; at < bytes.length;) {
    if (at + 4 > bytes.length) throw new DecompressError("lz4: the data ends too early");
    const size = view.getUint32(at, true);
    at += 4;
    if (at + size > bytes.length) throw new DecompressError("lz4: the data ends too early");
    blocks.push(decompressBlock(bytes.subarray(at, at + size)));
    at += size;
  }
  const result = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    result.set(block, at);
    at += block.length;
  }
  return result;
}

/** One block: literals and matches in turn, ending with literals. */
function decompressBlock(input: Uint8Array): Uint8Array {
  const output = new Uint8Array(BLOCK_BYTES);
  let from = 0;
  let to = 0;
  const next = (): number => {
    const byte = input[from++];
    if (byte === undefined) throw new DecompressError("lz4: the data ends too early");
    return byte;
  };
  /** A length of 15 goes on in the following bytes, up to one below 255. */
  const length = (nibble: number): number => {
    let sum = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; sum += byte) byte = next();
    return sum;
  };
  while (from < input.length) {
    const token = next();
    const literals = length(token >> 4);
    if (from + literals > input.length || to + literals > output.length) {
      throw new DecompressError(`lz4: ${literals} literal bytes do not fit`);
    }
    output.set(input.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    if (from === input.length) break;

    const distance = next() | (next() << 8);
    const match = length(token & 15) + SHORTEST_MATCH;
    if (distance === 0 || distance > to || to + match > output.length) {
      throw new DecompressError(`lz4: a match of ${match} bytes at distance ${distance} does not fit`);
    }
    if (distance >= match) {
      output.copyWithin(to, to - distance, to - distance + match);
      to += match;
    } else {
      // byte by byte: the match overlaps what it produces
      for (const end = to + match; to < end; to++) output[to] = output[to - distance] as number;
    }
  }
  return output.subarray(0, to);
}
