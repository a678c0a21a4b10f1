/**
 * Sealing: making one executable from the stock runtime program and the product's modules.
 *
 * @module
 */

import {
  type Architecture,
  architectureOf,
  Elf,
  ElfError,
  PF,
  PROGRAM_HEADER_BYTES,
  PT,
  type Segment,
} from "../../guest/elf.ts";
import { ENTRY_AARCH64 } from "./entry_aarch64.ts";
import { ENTRY_X86_64 } from "./entry_x86_64.ts";
import { encodeParameters } from "./layout.ts";

/** What to seal into a program. */
export interface Sealing {
  /** The stock program, whole. */
  base: Uint8Array;
  /** What to call it in messages. */
  baseName: string;
  /** Modules, back to back; they are not loaded into memory, the script reads them from the file. */
  modules: Uint8Array;
  /** The script to start with, given the place of `modules` in the sealed file, in bytes. */
  script: (modulesOffset: number) => string;
  /** Arguments for the program, without its name and the script. */
  args: readonly string[];
  /** Environment entries for it, as `NAME=value`. */
  settings: readonly string[];
  /** Beginnings of the caller's environment entries that it must not see. */
  dropped: readonly string[];
}

/** Per architecture: machine code, and the number of the relocation that fills an address cell. */
const TARGETS: Record<Architecture, { code: string; globalData: number }> = {
  x86_64: { code: ENTRY_X86_64, globalData: 6 }, // R_X86_64_GLOB_DAT
  aarch64: { code: ENTRY_AARCH64, globalData: 1025 }, // R_AARCH64_GLOB_DAT
};

/** Distance kept between the program's last segment and the new one. */
const GAP = 0x10000;
const LARGEST_PAGE = 0x10000;

/**
 * The sealed executable.
 *
 * @throws {ElfError} when the base is not a dynamically linked program with notes to give up
 */
export function seal(sealing: Sealing): Uint8Array<ArrayBuffer> {
  const { base, baseName, modules } = sealing;
  const elf = new Elf(base, baseName);
  const target = TARGETS[architectureOf(elf, baseName)];
  const environ = elf.slotOf("environ", target.globalData);
  if (environ === undefined) {
    throw new ElfError(`"${baseName}" does not use the C library's "environ": it cannot be sealed`);
  }

  const loads = elf.segments.filter((s) => s.type === PT.LOAD);
  const align = Math.max(...loads.map((s) => s.align));
  const modulesOffset = roundUp(base.length, 16);
  const offset = roundUp(modulesOffset + modules.length, align);
  const end = Math.max(...loads.map((s) => s.vaddr + s.memorySize));
  const vaddr = roundUp(end + GAP, align);

  const code = Uint8Array.from(target.code.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  const parameters = encodeParameters({
    self: vaddr + code.length,
    entry: elf.entry,
    environ,
    script: sealing.script(modulesOffset),
    args: sealing.args,
    settings: sealing.settings,
    dropped: sealing.dropped,
    spent: wholePages(elf.relocations()),
  });
  const size = code.length + parameters.length;

  const sealed = new Uint8Array(offset + size);
  sealed.set(base);
  sealed.set(modules, modulesOffset);
  sealed.set(code, offset);
  sealed.set(parameters, offset + code.length);
  const segment: Segment = {
    type: PT.LOAD,
    flags: PF.R | PF.X,
    offset,
    vaddr,
    fileSize: size,
    memorySize: size,
    align,
  };
  writeSegments(sealed, elf.programHeaderOffset, replaceNotes(elf.segments, segment, baseName));
  new DataView(sealed.buffer).setBigUint64(24, BigInt(vaddr), true); // e_entry
  return sealed;
}

/** The whole pages of an area, whatever the size of a page is (arm64: up to 64 KiB). */
function wholePages(area: { address: number; size: number } | undefined): { address: number; size: number } {
  if (!area) return { address: 0, size: 0 };
  const address = roundUp(area.address, LARGEST_PAGE);
  const end = Math.floor((area.address + area.size) / LARGEST_PAGE) * LARGEST_PAGE;
  return { address, size: Math.max(0, end - address) };
}

/** The segments with `added` behind the last loadable one (they must ascend) and one without the notes. */
function replaceNotes(segments: readonly Segment[], added: Segment, name: string): Segment[] {
  const notes = segments.findIndex((s) => s.type === PT.NOTE);
  if (notes < 0) throw new ElfError(`"${name}" has no note segment to replace: it cannot be sealed`);
  const kept = segments.filter((_, i) => i !== notes);
  const last = kept.findLastIndex((s) => s.type === PT.LOAD);
  return [...kept.slice(0, last + 1), added, ...kept.slice(last + 1)];
}

function writeSegments(bytes: Uint8Array, offset: number, segments: readonly Segment[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  segments.forEach((segment, i) => {
    const at = offset + i * PROGRAM_HEADER_BYTES;
    view.setUint32(at, segment.type, true);
    view.setUint32(at + 4, segment.flags, true);
    const words = [
      segment.offset,
      segment.vaddr,
      segment.vaddr,
      segment.fileSize,
      segment.memorySize,
      segment.align,
    ];
    words.forEach((word, k) => view.setBigUint64(at + 8 + k * 8, BigInt(word), true));
  });
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
