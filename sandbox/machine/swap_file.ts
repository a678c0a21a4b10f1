/**
 * Files that a guest swaps to.
 *
 * @module
 */

import { dirname } from "../../sys/path.ts";
import { statfs } from "../../sys/statfs.ts";

/** The kernel takes the header's page for its own page size, which is this one in all guests. */
const SWAP_PAGE = 4096;

/** The kernel refuses a file with fewer pages; the header's is not counted. */
const FEWEST_PAGES = 10;

const MAGIC = "SWAPSPACE2";

/** Where the kernel expects them, in the first page. */
const VERSION_AT = 1024;
const LAST_PAGE_AT = 1028;
const UUID_AT = 1036;

/** Pages of a file that has room for so many bytes, with the header's. */
export function swapPages(bytes: number): number {
  return Math.max(Math.ceil(bytes / SWAP_PAGE), FEWEST_PAGES) + 1;
}

/** The first page of swap space: version 1 of the kernel's header, with an identity of its own. */
function swapHeader(pages: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(SWAP_PAGE);
  const view = new DataView(header.buffer);
  view.setUint32(VERSION_AT, 1, true);
  view.setUint32(LAST_PAGE_AT, pages - 1, true);
  const uuid = crypto.getRandomValues(header.subarray(UUID_AT, UUID_AT + 16));
  // a random identity says so, as other tools expect: version 4, variant 1
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x40;
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80;
  header.set(new TextEncoder().encode(MAGIC), SWAP_PAGE - MAGIC.length);
  return header;
}

/**
 * Makes the file, with holes: the host gives it room as the guest uses it.
 *
 * @param bytes room for the guest's pages
 * @param owner who opens it besides root
 * @throws {Error} it is there already, cannot be written, or is larger than all the room that is left for it
 */
export async function makeSwapFile(
  path: string,
  bytes: number,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<void> {
  const pages = swapPages(bytes);
  // containers say how much they want; what is there no room for would one day stop whoever writes there
  const { blocksAvailable, blockSize } = statfs(dirname(path));
  const room = blocksAvailable * blockSize;
  if (bytes > room) throw new Error(`the file system has room for ${room} bytes`);
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  await file.truncate(pages * SWAP_PAGE);
  const header = swapHeader(pages);
  for (let at = 0; at < header.length;) at += await file.write(header.subarray(at));
  if (owner !== undefined) await Deno.chown(path, owner.uid, owner.gid);
}
