/**
 * What the steps of a syscall program point to: bytes, cells that hold numbers, and places to jump to.
 *
 * Made by the methods of `Program` (program.ts) and given an address only when the program is launched.
 */

/** Text that C ends with a zero byte. */
export interface TextContent {
  readonly kind: "text";
  readonly text: string;
}

/** Bytes as they are. */
export interface BytesContent {
  readonly kind: "bytes";
  readonly bytes: Uint8Array;
}

/** A `char *[]`: addresses of texts, ended by NULL. */
export interface TextsContent {
  readonly kind: "texts";
  readonly texts: readonly string[];
}

/** A structure: its parts one after another, without padding. */
export interface StructContent {
  readonly kind: "struct";
  readonly parts: readonly StructPart[];
}

export type DataContent = TextContent | BytesContent | TextsContent | StructContent;

/**
 * One part of a structure: a number or bigint is 8 bytes, bytes are as they are (see `u16`, `u32`), a `Data` is the
 * 8 bytes of its address, and a `Slot` has its cell right here, so that the kernel can read or write it.
 */
export type StructPart = number | bigint | Uint8Array | Data | Slot;

/** Bytes that the child can point to; as an argument of a step it becomes their address. */
export class Data {
  constructor(readonly content: DataContent) {}
}

/** How many bits the cell of a slot has: 64, or 32 where the kernel reads or writes an `int`. */
export type SlotBits = 32 | 64;

/**
 * A cell in the child's memory: as an argument of a step it becomes the number that is in it at that moment.
 * It is filled at launch (`LaunchOptions.inputs`), by a step (`save`), or by the kernel when it is part of a structure.
 */
export class Slot {
  constructor(readonly name: string, readonly bits: SlotBits) {}
}

/** A place further down in the program that steps can jump to. */
export class Label {
  constructor(readonly name: string) {}
}

/** An argument of a step: a number, the address of data, or the value of a cell. */
export type ProgramArg = number | bigint | Data | Slot;

/** A little-endian 16-bit part of a structure. */
export function u16(value: number): Uint8Array {
  return new Uint8Array([value, value >> 8]);
}

/** A little-endian 32-bit part of a structure; negative values in two's complement. */
export function u32(value: number): Uint8Array {
  return new Uint8Array([value, value >> 8, value >> 16, value >> 24]);
}
