/**
 * Extracts the kernel: an uncompressed ELF `vmlinux` that a VMM can boot directly.
 *
 * @module
 */

import { compressionOf, decompress } from "./decompress/decompress.ts";
import { DecompressError } from "./decompress/errors.ts";
import { Elf, ElfError, isElf, PROGRAM_HEADER_BYTES, PT } from "./elf.ts";

/** A kernel file that cannot be used; the message names the file and says why. */
export class KernelError extends Error {
  override readonly name = "KernelError";
}

/** Offsets in a bzImage's set-up header; see the kernel's `Documentation/arch/x86/boot.rst`. */
const SETUP = {
  SECTORS: 0x1f1,
  MAGIC: 0x202,
  VERSION: 0x206,
  PAYLOAD_OFFSET: 0x248,
  PAYLOAD_LENGTH: 0x24c,
} as const;
const SETUP_MAGIC = 0x53726448; // "HdrS"
const SECTOR_BYTES = 512;
/** First version of the boot protocol that says where the compressed kernel lies. */
const PAYLOAD_SINCE = 0x208;

/** Note by which a kernel tells its 32-bit entry point for direct boot (PVH): owner and type. */
const PVH_NOTE = { name: "Xen", type: 18 } as const;

/**
 * The ELF kernel in a `vmlinuz` (bzImage), a compressed `vmlinux`, or a plain one.
 *
 * @param file the whole file
 * @param name what to call it in messages, usually its path
 * @throws {KernelError} when there is no kernel in it, or one that cannot be booted directly
 */
export async function extractKernel(file: Uint8Array, name: string): Promise<Uint8Array> {
  try {
    const kernel = isElf(file)
      ? file
      : compressionOf(file)
      ? await decompress(file)
      : await decompressPayload(payloadOf(file, name));
    const elf = new Elf(kernel, name);
    if (!elf.notes().some((note) => note.name === PVH_NOTE.name && note.type === PVH_NOTE.type)) {
      throw new KernelError(
        `the kernel in "${name}" cannot be booted directly: it has no PVH entry point (CONFIG_PVH is not set)`,
      );
    }
    return loadedPart(kernel, elf);
  } catch (error) {
    if (error instanceof KernelError) throw error;
    if (error instanceof ElfError) {
      throw new KernelError(`"${name}" does not hold an ELF kernel`, { cause: error });
    }
    throw new KernelError(
      `cannot unpack the kernel in "${name}": ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}

/** The compressed part of a bzImage. */
function payloadOf(file: Uint8Array, name: string): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < SETUP.PAYLOAD_LENGTH + 4 || view.getUint32(SETUP.MAGIC, true) !== SETUP_MAGIC) {
    throw new KernelError(`"${name}" is neither a vmlinuz (bzImage) nor an ELF kernel`);
  }
  const version = view.getUint16(SETUP.VERSION, true);
  if (version < PAYLOAD_SINCE) {
    throw new KernelError(
      `"${name}" is of boot protocol 0x${version.toString(16)}, which does not say where its kernel is`,
    );
  }
  const sectors = file[SETUP.SECTORS] || 4; // 0 means 4, for the oldest boot loaders
  const start = (sectors + 1) * SECTOR_BYTES + view.getUint32(SETUP.PAYLOAD_OFFSET, true);
  const end = start + view.getUint32(SETUP.PAYLOAD_LENGTH, true);
  if (end > file.length) {
    throw new KernelError(`"${name}" ends at byte ${file.length}, before its kernel does`);
  }
  return file.subarray(start, end);
}

/** The last four bytes are the original size: gzip data ends with it, behind other data the kernel's build puts it. */
async function decompressPayload(payload: Uint8Array): Promise<Uint8Array> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const size = payload.length < 4 ? 0 : view.getUint32(payload.length - 4, true);
  const data = compressionOf(payload) === "gzip" ? payload : payload.subarray(0, -4);
  // never trust a length so far as to reserve more than could be true
  const kernel = await decompress(data, Math.min(size, payload.length * 32));
  if (kernel.length !== size) {
    throw new DecompressError(`the data ends after ${kernel.length} bytes instead of ${size}`);
  }
  return kernel;
}

/** Segments are in memory in whole pages. */
const PAGE_BYTES = 4096;

/**
 * A kernel reduced to what is loaded: without sections, without the tables for relocating it that stand behind it
 * in a bzImage, and without the zeros at the end of its last segment, which are the kernel's unset variables. A machine
 * monitor keeps what it loads as long as the machine lives, so this saves memory for each (24 of 62 MiB for Debian).
 */
function loadedPart(kernel: Uint8Array, elf: Elf): Uint8Array {
  const loads = elf.segments.filter((s) => s.type === PT.LOAD);
  const last = loads.reduce((a, b) => a.offset + a.fileSize > b.offset + b.fileSize ? a : b);
  let end = last.offset + last.fileSize;
  if (end > kernel.length) {
    throw new KernelError(`the kernel ends at byte ${kernel.length} instead of ${end}`);
  }
  while (end > last.offset && kernel[end - 1] === 0) end--;
  const fileSize = Math.min(Math.ceil((end - last.offset) / PAGE_BYTES) * PAGE_BYTES, last.fileSize);

  const part = kernel.slice(0, last.offset + fileSize);
  const view = new DataView(part.buffer);
  const header = elf.programHeaderOffset + elf.segments.indexOf(last) * PROGRAM_HEADER_BYTES;
  view.setBigUint64(header + 32, BigInt(fileSize), true);
  view.setBigUint64(40, 0n, true); // e_shoff
  view.setUint32(60, 0, true); // e_shnum, e_shstrndx
  return part;
}

const BANNER = new TextEncoder().encode("Linux version ");

/** The release that a kernel calls itself in its banner, such as `6.1.0-18-amd64`, or undefined without one. */
export function kernelRelease(kernel: Uint8Array): string | undefined {
  const [first = 0] = BANNER;
  for (let at = kernel.indexOf(first); at >= 0; at = kernel.indexOf(first, at + 1)) {
    if (!BANNER.every((byte, i) => kernel[at + i] === byte)) continue;
    const rest = new TextDecoder().decode(kernel.subarray(at + BANNER.length, at + BANNER.length + 100));
    const release = /^(\d\S*) \(/.exec(rest)?.[1];
    // the same words stand in a format string too
    if (release !== undefined) return release;
  }
  return undefined;
}
