/**
 * Programs of the classic packet filter machine, written as a graph of tests and laid out so that every jump
 * reaches. Equal parts of a program exist once.
 */

/** A place in a program that can be gone to. Made by a `Graph`. */
export type Node = ReturnNode | TestNode | LoadNode;

interface ReturnNode {
  readonly kind: "return";
  readonly id: number;
  readonly value: number;
}

interface LoadNode {
  readonly kind: "load";
  readonly id: number;
  readonly offset: number;
  readonly next: Node;
}

interface TestNode {
  readonly kind: "test";
  readonly id: number;
  readonly test: Test;
  readonly then: Node;
  readonly else: Node;
}

/** A test of a 32-bit word: the one at an offset of the input, or the one that was loaded before. */
export interface Test {
  readonly offset?: number;
  /** bits that are looked at; all by default */
  readonly mask?: number;
  readonly operator: "==" | ">" | ">=";
  readonly value: number;
}

const LOAD = 0x20, AND = 0x54, JUMP = 0x05, RETURN = 0x06;
const TESTS = { "==": 0x15, ">": 0x25, ">=": 0x35 } as const;
const INSTRUCTION_SIZE = 8;
/** The longest way that a test can jump. */
const MAX_JUMP = 255;
/** The most instructions that the kernel accepts. */
export const MAX_INSTRUCTIONS = 4096;

/** The program has more instructions than the kernel accepts. */
export class TooLongError extends Error {
  override readonly name = "TooLongError";
}

/** Makes nodes; two that do the same are one. */
export class Graph {
  readonly #nodes = new Map<string, Node>();

  /** Ends the program with a value. */
  return(value: number): Node {
    return this.#node(`r${value}`, (id) => ({ kind: "return", id, value }));
  }

  /** Loads the word at an offset, for tests without one. */
  load(offset: number, next: Node): Node {
    return this.#node(`l${offset},${next.id}`, (id) => ({ kind: "load", id, offset, next }));
  }

  /** Goes on in one of two ways. */
  test(test: Test, then: Node, otherwise: Node): Node {
    if (then === otherwise) return then;
    const { offset, mask, operator, value } = test;
    const key = `t${offset},${mask},${operator},${value},${then.id},${otherwise.id}`;
    return this.#node(key, (id) => ({ kind: "test", id, test, then, else: otherwise }));
  }

  #node(key: string, make: (id: number) => Node): Node {
    const known = this.#nodes.get(key);
    if (known) return known;
    // Every node is an instruction at least, so that there is no need to go on.
    if (this.#nodes.size >= MAX_INSTRUCTIONS) throw new TooLongError();
    const node = make(this.#nodes.size);
    this.#nodes.set(key, node);
    return node;
  }
}

interface Instruction {
  readonly code: number;
  readonly then: number;
  readonly else: number;
  readonly value: number;
}

/**
 * The program that begins at a node: an array of `struct sock_filter`.
 *
 * @throws {TooLongError}
 */
export function assemble(start: Node): Uint8Array {
  const layout = new Layout();
  layout.place(start);
  const instructions = layout.instructions;
  if (instructions.length > MAX_INSTRUCTIONS) throw new TooLongError();
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer);
  instructions.toReversed().forEach((instruction, index) => {
    const at = index * INSTRUCTION_SIZE;
    view.setUint16(at, instruction.code, true);
    view.setUint8(at + 2, instruction.then);
    view.setUint8(at + 3, instruction.else);
    view.setUint32(at + 4, instruction.value, true);
  });
  return bytes;
}

/** Lays nodes out from the end of the program to its beginning, as jumps only go forward. */
class Layout {
  /** from the last to the first */
  readonly instructions: Instruction[] = [];
  /** Where a node is, or the latest jump to it: its index from the end. */
  readonly #places = new Map<Node, number>();

  place(node: Node): void {
    if (this.#places.has(node)) return;
    if (node.kind === "return") {
      this.#add(RETURN, node.value);
    } else if (node.kind === "load") {
      this.place(node.next);
      const way = this.#wayTo(node.next);
      if (way > 0) this.#add(JUMP, way);
      this.#add(LOAD, node.offset);
    } else {
      this.place(node.else);
      this.place(node.then);
      this.#test(node);
    }
    this.#places.set(node, this.instructions.length - 1);
  }

  #test({ test, then, else: otherwise }: TestNode): void {
    // A second bridge makes the way over the first one longer.
    this.#bridge(then, MAX_JUMP - 1);
    this.#bridge(otherwise, MAX_JUMP);
    this.instructions.push({
      code: TESTS[test.operator],
      then: this.#wayTo(then),
      else: this.#wayTo(otherwise),
      value: test.value,
    });
    if (test.mask !== undefined) this.#add(AND, test.mask);
    if (test.offset !== undefined) this.#add(LOAD, test.offset);
  }

  /** Where a node is out of reach, there is one instruction within reach that does the same. */
  #bridge(node: Node, reach: number): void {
    const way = this.#wayTo(node);
    if (way <= reach) return;
    if (node.kind === "return") this.#add(RETURN, node.value);
    else this.#add(JUMP, way);
    this.#places.set(node, this.instructions.length - 1);
  }

  /** How many instructions the next one has to skip to get to a node. */
  #wayTo(node: Node): number {
    return this.instructions.length - 1 - (this.#places.get(node) ?? 0);
  }

  #add(code: number, value: number): void {
    this.instructions.push({ code, then: 0, else: 0, value });
  }
}
