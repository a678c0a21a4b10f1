/**
 * The little of ELF that making guest assets and sealing executables need: 64-bit, little-endian files;
 * program headers, dynamic entries, relocations of one symbol, notes.
 *
 * Layouts are those of the System V ABI, chapters "Object Files" and "Program Loading and Dynamic Linking".
 *
 * @module
 */

/** An invalid or incomplete ELF file. The message names the file. */
export class ElfError extends Error {
  override readonly name = "ElfError";
}

/** Machine numbers (`e_machine`) of the architectures that the product runs on. */
export const MACHINE = { x86_64: 62, aarch64: 183 } as const;
/** An architecture, by the name that `uname -m` prints. */
export type Architecture = keyof typeof MACHINE;

/** Segment types (`p_type`). */
export const PT = { LOAD: 1, DYNAMIC: 2, INTERP: 3, NOTE: 4 } as const;
/** Segment permissions (`p_flags`). */
export const PF = { X: 1, W: 2, R: 4 } as const;
const DT = { NEEDED: 1, STRTAB: 5, SYMTAB: 6, RELA: 7, RELASZ: 8 } as const;

const HEADER_BYTES = 64;
/** Size of a program header. */
export const PROGRAM_HEADER_BYTES = 56;
const RELA_BYTES = 24;
const SYMBOL_BYTES = 24;

/** One program header; offsets and sizes in bytes. */
export interface Segment {
  type: number;
  flags: number;
  offset: number;
  vaddr: number;
  fileSize: number;
  memorySize: number;
  align: number;
}

/** A note of a PT_NOTE segment. */
export interface Note {
  name: string;
  type: number;
  description: Uint8Array;
}

/** A parsed file; the bytes are kept, not copied. */
export class Elf {
  readonly machine: number;
  readonly entry: number;
  readonly segments: readonly Segment[];
  /** Where the program headers lie in the file, in bytes. */
  readonly programHeaderOffset: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;

  /**
   * @param bytes the whole file
   * @param name what to call it in messages, usually its path
   * @throws {ElfError} when it is no complete 64-bit little-endian ELF file
   */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!isElf(bytes)) throw new ElfError(`"${name}" is not an ELF file`);
    if (bytes.length < HEADER_BYTES || bytes[4] !== 2 || bytes[5] !== 1) {
      throw new ElfError(`"${name}" is not a 64-bit little-endian ELF file`);
    }
    this.machine = this.#view.getUint16(18, true);
    this.entry = this.#number(24);
    this.programHeaderOffset = this.#number(32);
    const size = this.#view.getUint16(54, true);
    const count = this.#view.getUint16(56, true);
    if (count > 0 && size !== PROGRAM_HEADER_BYTES) {
      throw new ElfError(
        `"${name}" has program headers of ${size} bytes where ${PROGRAM_HEADER_BYTES} are usual`,
      );
    }
    if (this.programHeaderOffset + count * size > bytes.length) {
      throw new ElfError(`"${name}" ends before its program headers do`);
    }
    this.segments = Array.from(
      { length: count },
      (_, i) => this.#segment(this.programHeaderOffset + i * size),
    );
  }

  /** The program interpreter (`PT_INTERP`), or undefined for a static program or a library. */
  get interpreter(): string | undefined {
    const segment = this.segments.find((s) => s.type === PT.INTERP);
    if (!segment) return undefined;
    return text(this.#slice(segment.offset, segment.fileSize));
  }

  /** Names of the libraries it needs (`DT_NEEDED`), in order. */
  needed(): string[] {
    const { values, strings } = this.#dynamic();
    return values.filter(([tag]) => tag === DT.NEEDED).map(([, value]) => this.#string(strings, value));
  }

  /**
   * Address of the cell that the dynamic linker fills with the address of `symbol`, or undefined when no
   * relocation of `.rela.dyn` names that symbol.
   *
   * @param relocationType the architecture's number of its "global data" relocation
   */
  slotOf(symbol: string, relocationType: number): number | undefined {
    const { values, strings } = this.#dynamic();
    const symbols = values.find(([tag]) => tag === DT.SYMTAB)?.[1];
    const relocations = this.relocations();
    if (relocations === undefined || symbols === undefined) return undefined;
    const start = this.#fileOffset(relocations.address);
    const symbolStart = this.#fileOffset(symbols);
    for (let at = start; at < start + relocations.size; at += RELA_BYTES) {
      if (this.#view.getUint32(at + 8, true) !== relocationType) continue;
      const index = this.#view.getUint32(at + 12, true);
      const nameOffset = this.#view.getUint32(symbolStart + index * SYMBOL_BYTES, true);
      if (this.#string(strings, nameOffset) === symbol) return this.#number(at);
    }
    return undefined;
  }

  /** Where the dynamic linker's main table of relocations (`.rela.dyn`) is loaded, in bytes. */
  relocations(): { address: number; size: number } | undefined {
    const { values } = this.#dynamic();
    const [address, size] = [DT.RELA, DT.RELASZ].map((tag) => values.find((value) => value[0] === tag)?.[1]);
    return address === undefined || size === undefined ? undefined : { address, size };
  }

  /** Content of the first section of that name, or undefined; for relocatable files, which have no segments. */
  section(name: string): Uint8Array | undefined {
    const table = this.#number(40);
    const [size, count, namesIndex] = [58, 60, 62].map((at) => this.#view.getUint16(at, true));
    if (!table || !size || !count || namesIndex === undefined) return undefined;
    this.#slice(table, size * count);
    const names = this.#number(table + namesIndex * size + 24);
    for (let at = table; at < table + size * count; at += size) {
      if (this.#string(names, this.#view.getUint32(at, true)) !== name) continue;
      return this.#slice(this.#number(at + 24), this.#number(at + 32));
    }
    return undefined;
  }

  /** All notes of all PT_NOTE segments. */
  notes(): Note[] {
    return this.segments.filter((s) => s.type === PT.NOTE).flatMap((segment) => {
      const notes: Note[] = [];
      const end = Math.min(segment.offset + segment.fileSize, this.#bytes.length);
      let at = segment.offset;
      while (at + 12 <= end) {
        const nameSize = this.#view.getUint32(at, true);
        const size = this.#view.getUint32(at + 4, true);
        const type = this.#view.getUint32(at + 8, true);
        const description = at + 12 + align4(nameSize);
        if (description + size > end) break;
        notes.push({
          name: text(this.#slice(at + 12, nameSize)),
          type,
          description: this.#slice(description, size),
        });
        at = description + align4(size);
      }
      return notes;
    });
  }

  #segment(at: number): Segment {
    return {
      type: this.#view.getUint32(at, true),
      flags: this.#view.getUint32(at + 4, true),
      offset: this.#number(at + 8),
      vaddr: this.#number(at + 16),
      fileSize: this.#number(at + 32),
      memorySize: this.#number(at + 40),
      align: this.#number(at + 48),
    };
  }

  #dynamic(): { values: [tag: number, value: number][]; strings: number } {
    const segment = this.segments.find((s) => s.type === PT.DYNAMIC);
    const values: [number, number][] = [];
    if (!segment) return { values, strings: 0 };
    this.#slice(segment.offset, segment.fileSize);
    for (let at = segment.offset; at < segment.offset + segment.fileSize; at += 16) {
      const tag = this.#number(at);
      if (tag === 0) break;
      values.push([tag, this.#number(at + 8)]);
    }
    const table = values.find(([tag]) => tag === DT.STRTAB);
    if (!table) throw new ElfError(`"${this.#name}" has a dynamic section without a string table`);
    return { values, strings: this.#fileOffset(table[1]) };
  }

  #fileOffset(vaddr: number): number {
    const segment = this.segments.find((s) =>
      s.type === PT.LOAD && vaddr >= s.vaddr && vaddr < s.vaddr + s.fileSize
    );
    if (!segment) {
      throw new ElfError(`"${this.#name}" refers to address 0x${vaddr.toString(16)}, which it lacks`);
    }
    return vaddr - segment.vaddr + segment.offset;
  }

  #string(table: number, offset: number): string {
    const start = table + offset;
    const end = this.#bytes.indexOf(0, start);
    if (end < 0) throw new ElfError(`"${this.#name}" has a string without an end`);
    return text(this.#bytes.subarray(start, end));
  }

  #slice(offset: number, size: number): Uint8Array {
    if (offset + size > this.#bytes.length) {
      throw new ElfError(`"${this.#name}" ends at byte ${this.#bytes.length}, before byte ${offset + size}`);
    }
    return this.#bytes.subarray(offset, offset + size);
  }

  /**
   * A 64-bit field as a number. Kernel addresses (0xffffffff…) lose their low bits that way, which is fine:
   * of a kernel only file offsets and notes are looked at.
   */
  #number(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }
}

/** Whether the bytes start as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

function align4(n: number): number {
  return (n + 3) & ~3;
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * The architecture of a program.
 *
 * @throws {ElfError} it is one that the product does not run on
 */
export function architectureOf(elf: Elf, name: string): Architecture {
  const arch = (Object.keys(MACHINE) as Architecture[]).find((a) => MACHINE[a] === elf.machine);
  if (!arch) {
    throw new ElfError(
      `"${name}" is for machine ${elf.machine}, which is not one of ${Object.keys(MACHINE).join(", ")}`,
    );
  }
  return arch;
}
