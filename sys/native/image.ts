/**
 * A program becomes bytes: the header and operations that layout.ts describes, and the data they point to.
 *
 * Addresses are not known yet; the image notes where they are, and `relocate` adds the base once there is memory.
 */

import { FLAG, HEADER, OPERATION } from "./layout.ts";
import { errnoNumber } from "../errors.ts";
import type { Program } from "../program.ts";
import { Data, type ProgramArg, Slot, type StructPart } from "../program_data.ts";
import {
  type CallNumbers,
  NOBODY,
  type Operation,
  type Operations,
  operationsAlone,
  operationsOf,
  type Plan,
} from "./operations.ts";

/** Bytes that run wherever they are put, after `relocate`. */
export interface Image {
  readonly bytes: Uint8Array;
  /** Name of the step that each operation belongs to. */
  readonly names: readonly string[];
  /** Offset of the `int` that the clone writes the pidfd to. */
  readonly pidfd: number;
  /** Adds the address that the image will have. Once. */
  relocate(base: bigint): void;
}

/**
 * @param program what the child does
 * @param plan what launch adds to it
 * @param numbers system call numbers; default: of the running architecture
 * @throws if a label was never placed, or a slot has no value
 */
export function buildImage(program: Program, plan: Plan, numbers?: CallNumbers): Image {
  program.check();
  return imageOf(operationsOf(program, plan, numbers), plan);
}

/**
 * As {@linkcode buildImage}, for a program that is all of a process.
 *
 * @param numbers system call numbers of the architecture that it will run on
 */
export function buildImageAlone(program: Program, numbers: CallNumbers): Image {
  program.check();
  return imageOf(operationsAlone(program, numbers), { statusFd: NOBODY, inputs: new Map() });
}

function imageOf(operations: Operations, plan: Pick<Plan, "statusFd" | "inputs">): Image {
  const writer = new Writer();
  writer.reserve(HEADER.SIZE);
  const first = writer.reserve(operations.list.length * OPERATION.SIZE);
  const encoder = new Encoder(writer, first, operations.labels, plan.inputs);
  encoder.placeData(operations.list);
  checkSlots(operations.list, encoder, plan.inputs);
  operations.list.forEach((operation, index) => encoder.operation(operation, index));
  encoder.header(plan.statusFd, operations.clone, operations.child, operations.list.length);
  for (const [slot, value] of plan.inputs) encoder.input(slot, value);
  return {
    bytes: writer.bytes,
    names: operations.list.map((operation) => operation.name),
    pidfd: encoder.slotOffset(operations.pidfd),
    relocate: (base) => writer.relocate(base),
  };
}

/** A cell that nothing ever fills would be a 0 that nobody meant. */
function checkSlots(list: readonly Operation[], encoder: Encoder, inputs: ReadonlyMap<Slot, unknown>): void {
  const filled = new Set<Slot>(inputs.keys());
  for (const operation of list) if (operation.save) filled.add(operation.save);
  for (const operation of list) {
    for (const arg of operation.args) {
      if (arg instanceof Slot && !filled.has(arg) && !encoder.isInStructure(arg)) {
        throw new Error(`slot "${arg.name}" has no value: no step saves to it, and no input sets it`);
      }
    }
  }
}

/** Puts operations and data into the writer, each piece of data once. */
class Encoder {
  readonly #data = new Map<Data, number>();
  readonly #slots = new Map<Slot, number>();
  readonly #inStructure = new Set<Slot>();

  constructor(
    readonly writer: Writer,
    readonly first: number,
    readonly labels: ReadonlyMap<unknown, number>,
    readonly inputs: ReadonlyMap<Slot, number | bigint>,
  ) {}

  /** Structures come before single cells, since a slot's cell may be inside one. */
  placeData(list: readonly Operation[]): void {
    for (const operation of list) {
      for (const arg of operation.args) if (arg instanceof Data) this.#dataOffset(arg);
    }
  }

  isInStructure(slot: Slot): boolean {
    return this.#inStructure.has(slot);
  }

  header(statusFd: number, clone: number, child: number, end: number): void {
    const { writer } = this;
    writer.word(HEADER.STATUS_FD, statusFd);
    writer.address(HEADER.FIRST, this.first);
    writer.address(HEADER.CLONE, this.#operationOffset(clone));
    writer.address(HEADER.CHILD, this.#operationOffset(child));
    writer.address(HEADER.END, this.#operationOffset(end));
    writer.word(HEADER.ALL_SIGNALS, -1);
  }

  input(slot: Slot, value: number | bigint): void {
    const offset = this.slotOffset(slot);
    if (slot.bits === 64) this.writer.word(offset, value);
    else this.writer.int(offset, Number(value));
  }

  operation(operation: Operation, index: number): void {
    const { writer } = this;
    const at = this.#operationOffset(index);
    let flags = operation.flags;
    writer.word(at + OPERATION.NUMBER, operation.number);
    operation.args.forEach((arg, i) => {
      if (arg instanceof Slot) flags |= (arg.bits === 64 ? FLAG.CELL_64 : FLAG.CELL_32) << (2 * i);
      this.#arg(at + OPERATION.ARGS + 8 * i, arg);
    });
    const { save, mayFail, onSuccess, onFailure } = operation;
    if (save) writer.address(at + OPERATION.SAVE, this.slotOffset(save));
    if (onSuccess) writer.address(at + OPERATION.ON_SUCCESS, this.#labelOffset(onSuccess));
    if (onFailure) writer.address(at + OPERATION.ON_FAILURE, this.#labelOffset(onFailure));
    if (mayFail !== false) flags |= FLAG.MAY_FAIL;
    if (typeof mayFail !== "boolean") writer.address(at + OPERATION.ERRNOS, this.#errnos(mayFail));
    writer.word(at + OPERATION.FLAGS, flags);
  }

  #arg(at: number, arg: ProgramArg): void {
    if (arg instanceof Slot) this.writer.address(at, this.slotOffset(arg));
    else if (arg instanceof Data) this.writer.address(at, this.#dataOffset(arg));
    else this.writer.word(at, arg);
  }

  #errnos(codes: readonly string[]): number {
    const offset = this.writer.reserve(4 * (codes.length + 1));
    codes.forEach((code, i) => this.writer.int(offset + 4 * i, -(errnoNumber(code) ?? 0)));
    return offset;
  }

  #operationOffset(index: number): number {
    return this.first + index * OPERATION.SIZE;
  }

  #labelOffset(label: unknown): number {
    const index = this.labels.get(label);
    if (index === undefined) throw new Error("a label of another program is jumped to");
    return this.#operationOffset(index);
  }

  /** Where the cell of a slot is. */
  slotOffset(slot: Slot): number {
    let offset = this.#slots.get(slot);
    if (offset === undefined) {
      offset = this.writer.reserve(8);
      this.#slots.set(slot, offset);
    }
    return offset;
  }

  #dataOffset(data: Data): number {
    let offset = this.#data.get(data);
    if (offset === undefined) {
      offset = this.#placeContent(data);
      this.#data.set(data, offset);
    }
    return offset;
  }

  #placeContent({ content }: Data): number {
    switch (content.kind) {
      case "text":
        return this.writer.text(content.text);
      case "bytes":
        return this.writer.append(content.bytes);
      case "texts": {
        const texts = content.texts.map((text) => this.writer.text(text));
        const offset = this.writer.reserve(8 * (texts.length + 1));
        texts.forEach((text, i) => this.writer.address(offset + 8 * i, text));
        return offset;
      }
      case "struct":
        return this.#placeStructure(content.parts);
    }
  }

  #placeStructure(parts: readonly StructPart[]): number {
    const offset = this.writer.reserve(parts.reduce<number>((sum, part) => sum + partSize(part), 0));
    let at = offset;
    for (const part of parts) {
      if (part instanceof Uint8Array) this.writer.put(at, part);
      else if (part instanceof Slot) this.#placeSlot(part, at);
      else this.#arg(at, part);
      at += partSize(part);
    }
    return offset;
  }

  #placeSlot(slot: Slot, offset: number): void {
    if (this.#slots.has(slot)) throw new Error(`slot "${slot.name}" is part of two structures`);
    this.#slots.set(slot, offset);
    this.#inStructure.add(slot);
  }
}

function partSize(part: StructPart): number {
  if (part instanceof Uint8Array) return part.length;
  return part instanceof Slot ? part.bits / 8 : 8;
}

const encoder = new TextEncoder();

/** Bytes that grow, and the places in them that hold addresses. */
class Writer {
  #buffer = new Uint8Array(4096);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;
  readonly #addresses: number[] = [];

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Zeros; their offset is a multiple of 8. */
  reserve(size: number): number {
    const offset = this.#length;
    const end = offset + size;
    this.#length = (end + 7) & ~7;
    if (this.#length > this.#buffer.length) this.#grow();
    return offset;
  }

  append(bytes: Uint8Array): number {
    const offset = this.reserve(bytes.length);
    this.#buffer.set(bytes, offset);
    return offset;
  }

  text(text: string): number {
    const bytes = encoder.encode(text);
    const offset = this.reserve(bytes.length + 1);
    this.#buffer.set(bytes, offset);
    return offset;
  }

  put(offset: number, bytes: Uint8Array): void {
    this.#buffer.set(bytes, offset);
  }

  word(offset: number, value: number | bigint): void {
    this.#view.setBigInt64(offset, BigInt(value), true);
  }

  int(offset: number, value: number): void {
    this.#view.setInt32(offset, value, true);
  }

  /** The address that the given offset will have. */
  address(offset: number, target: number): void {
    this.word(offset, target);
    this.#addresses.push(offset);
  }

  relocate(base: bigint): void {
    for (const offset of this.#addresses) {
      this.#view.setBigInt64(offset, this.#view.getBigInt64(offset, true) + base, true);
    }
    this.#addresses.length = 0;
  }

  #grow(): void {
    const larger = new Uint8Array(Math.max(this.#length, this.#buffer.length * 2));
    larger.set(this.#buffer);
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}
