/**
 * Init data for the guest: a disk that its components find by what it begins with.
 *
 * @module
 */

import { readInitData } from "../../config/init_data.ts";

/** What the machine has of it. */
export interface InitDataDisk {
  /** a file of the machine's folder */
  readonly path: string;
  /** of the document, for the measurement of a confidential guest */
  readonly digest: Uint8Array;
}

/** By what the disk is found. */
const MAGIC = "initdata";

/** Disks consist of such blocks. */
const BLOCK_BYTES = 512;

/** The content: what it is, the length of the compressed document, and the document. */
export function initDataImage(compressed: Uint8Array): Uint8Array {
  const head = MAGIC.length + 8;
  const image = new Uint8Array(Math.ceil((head + compressed.length) / BLOCK_BYTES) * BLOCK_BYTES);
  image.set(new TextEncoder().encode(MAGIC));
  new DataView(image.buffer).setBigUint64(MAGIC.length, BigInt(compressed.length), true);
  image.set(compressed, head);
  return image;
}

/**
 * Writes the disk.
 *
 * @param dir the machine's folder, which is removed with all that is in it
 * @param encoded as the annotation has it
 * @throws {BadValue} what the document must be
 */
export async function writeInitData(dir: string, encoded: string): Promise<InitDataDisk> {
  const { compressed, digest } = await readInitData(encoded);
  const path = `${dir}/initdata.img`;
  await Deno.writeFile(path, initDataImage(compressed), { mode: 0o640 });
  return { path, digest };
}
