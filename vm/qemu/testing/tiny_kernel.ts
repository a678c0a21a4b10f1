/** For tests: kernels of a few bytes, which QEMU boots in a moment. They only write to the serial port. */

/** What a tiny kernel does when it has written its text. */
export type TinyKernelEnd =
  /** nothing, for ever */
  | "halt"
  /** resets the machine */
  | "reset"
  /** writes its text again, for ever */
  | "repeat"
  /** tells the machine's panic device that it panicked */
  | "panic";

const LOAD_ADDRESS = 0x10_0000;
const HEADER_SIZE = 0x40;
const PROGRAM_HEADER_SIZE = 0x38;
const CODE_OFFSET = 0x100;
const NOTE_OFFSET = 0xc0;

/** Type of the ELF note with the 32-bit entry address of PVH (`xen/include/public/elfnote.h`). */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** 32-bit code without paging: writes the bytes at ESI to the first serial port up to a zero. */
const WRITE_TEXT = [
  ...[0x66, 0xba, 0xf8, 0x03], // mov dx, 0x3f8
  0xac, // next: lodsb
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x03], // jz end
  0xee, // out dx, al
  ...[0xeb, 0xf8], // jmp next
];

const ENDS: Readonly<Record<TinyKernelEnd, readonly number[]>> = {
  halt: [0xfa, 0xf4, 0xeb, 0xfd], // cli; again: hlt; jmp again
  reset: [0xb0, 0xfe, 0xe6, 0x64, 0xf4], // mov al, 0xfe; out 0x64, al; hlt
  panic: [0x66, 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xfa, 0xf4], // mov dx, 0x505; mov al, 1; out dx, al; cli; hlt
  repeat: [0xeb, 0x100 - 5 - WRITE_TEXT.length - 2], // jmp to the first instruction
};

/** A `vmlinux` for x86-64 with a PVH entry, as bytes. */
export function tinyKernel(text: string, end: TinyKernelEnd): Uint8Array<ArrayBuffer> {
  const code = [...WRITE_TEXT, ...ENDS[end]];
  const textBytes = new TextEncoder().encode(text);
  const textAddress = LOAD_ADDRESS + 5 + code.length;
  const body = Uint8Array.from([0xbe, ...littleEndian(textAddress), ...code, ...textBytes, 0]); // mov esi, text
  const file = new Uint8Array(CODE_OFFSET + body.length);
  file.set(elfHeader());
  file.set(programHeader(1, CODE_OFFSET, LOAD_ADDRESS, body.length), HEADER_SIZE); // PT_LOAD
  file.set(programHeader(4, NOTE_OFFSET, 0, 24), HEADER_SIZE + PROGRAM_HEADER_SIZE); // PT_NOTE
  file.set(note(), NOTE_OFFSET);
  file.set(body, CODE_OFFSET);
  return file;
}

function littleEndian(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

function elfHeader(): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADER_SIZE));
  view.setUint32(0, 0x7f454c46); // "\x7fELF"
  view.setUint32(4, 0x02010100); // 64 bits, little endian, version 1
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(LOAD_ADDRESS), true); // e_entry
  view.setBigUint64(32, BigInt(HEADER_SIZE), true); // e_phoff
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, 2, true); // e_phnum
  return new Uint8Array(view.buffer);
}

function programHeader(type: number, offset: number, address: number, size: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(PROGRAM_HEADER_SIZE));
  view.setUint32(0, type, true);
  view.setUint32(4, 7, true); // readable, writable, executable
  view.setBigUint64(8, BigInt(offset), true);
  for (const at of [16, 24]) view.setBigUint64(at, BigInt(address), true); // virtual, physical
  for (const at of [32, 40]) view.setBigUint64(at, BigInt(size), true); // in the file, in memory
  view.setBigUint64(48, 4n, true); // alignment
  return new Uint8Array(view.buffer);
}

function note(): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, 4, true); // size of the name
  view.setUint32(4, 8, true); // size of the address
  view.setUint32(8, XEN_ELFNOTE_PHYS32_ENTRY, true);
  view.setUint32(12, 0x58656e00); // "Xen\0"
  view.setBigUint64(16, BigInt(LOAD_ADDRESS), true);
  return new Uint8Array(view.buffer);
}
