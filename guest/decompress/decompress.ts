/**
 * The compression formats of kernels and modules.
 *
 * @module
 */

import { DecompressError } from "./errors.ts";
import { decompressLz4, LZ4_LEGACY_MAGIC } from "./lz4.ts";
import { decompressXz, XZ_MAGIC } from "./xz.ts";

/** A supported compression format. */
export type Compression = "gzip" | "xz" | "zstd" | "lz4";

const MAGICS: [Compression, readonly number[]][] = [
  ["gzip", [0x1f, 0x8b]],
  ["xz", XZ_MAGIC],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["lz4", LZ4_LEGACY_MAGIC],
];

/** What compressed data starts like, or undefined. */
export function compressionOf(bytes: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))?.[0];
}

/**
 * Decompresses data of any known kind.
 *
 * @param expectedSize bytes that the result will probably have, if that is known
 * @throws {DecompressError} when the kind is unknown or the data is broken
 */
export async function decompress(bytes: Uint8Array, expectedSize?: number): Promise<Uint8Array> {
  const kind = compressionOf(bytes);
  switch (kind) {
    case "xz":
      return decompressXz(bytes, expectedSize);
    case "lz4":
      return decompressLz4(bytes);
    case "gzip":
    case "zstd": {
      // only here: loading it costs more than most commands take
      const zlib = await import("node:zlib");
      try {
        const { buffer, byteOffset, length } = kind === "gzip"
          ? zlib.gunzipSync(bytes)
          : zlib.zstdDecompressSync(bytes);
        return new Uint8Array(buffer, byteOffset, length);
      } catch (error) {
        throw new DecompressError(`${kind}: ${error instanceof Error ? error.message : error}`);
      }
    }
    default:
      throw new DecompressError(
        `unknown compression: the data starts with ${
          Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join(" ") ||
          "nothing"
        }`,
      );
  }
}
