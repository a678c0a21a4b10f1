/**
 * Rules about devices as a program of the kernel's machine (linux/bpf.h).
 *
 * It goes through the rules from the last to the first, and takes away from what is asked for what a rule
 * allows: when nothing is left it is granted, and denied as soon as a rule denies part of what is left.
 */

import { STRUCTS } from "../../sys/abi/structs.ts";
import { ANY_ACCESS, type DeviceAccessRule, isAboutEverything } from "./rules.ts";

const CONTEXT = STRUCTS.bpf_cgroup_dev_ctx;
const TYPES = { b: 1, c: 2 } as const;
const ACCESS_SHIFT = 16;
const TYPE_MASK = 0xffff;
const INSTRUCTION_SIZE = 8;

/** Registers: the result, the context that the kernel hands over, and what is known of the device. */
const RESULT = 0, INPUT = 1, TYPE = 2, WANTED = 3, MAJOR = 4, MINOR = 5;

/** Operations, all on 32 bits. */
const OP = {
  LOAD: 0x61,
  MOVE: 0xbc,
  SET: 0xb4,
  AND: 0x54,
  SHIFT_RIGHT: 0x74,
  JUMP_UNLESS_EQUAL: 0x56,
  JUMP_IF_ANY: 0x46,
  GO: 0x05,
  EXIT: 0x95,
} as const;

interface Instruction {
  readonly op: number;
  readonly to?: number;
  readonly from?: number;
  /** of memory, or of a jump in instructions */
  readonly offset?: number;
  readonly value?: number;
}

/** The instructions, an array of `struct bpf_insn`. */
export function deviceProgram(rules: readonly DeviceAccessRule[]): Uint8Array {
  const code: Instruction[] = [
    { op: OP.LOAD, to: TYPE, from: INPUT, offset: CONTEXT.access_type },
    { op: OP.MOVE, to: WANTED, from: TYPE },
    { op: OP.AND, to: TYPE, value: TYPE_MASK },
    { op: OP.SHIFT_RIGHT, to: WANTED, value: ACCESS_SHIFT },
    { op: OP.LOAD, to: MAJOR, from: INPUT, offset: CONTEXT.major },
    { op: OP.LOAD, to: MINOR, from: INPUT, offset: CONTEXT.minor },
  ];
  // The kernel takes no instructions that cannot be reached.
  const first = rules.findLastIndex(isAboutEverything);
  for (const rule of rules.slice(Math.max(first + 1, 0)).toReversed()) code.push(...ruleCode(rule));
  code.push(...answer(rules[first]?.allow ?? false));
  return encode(code);
}

function ruleCode({ allow, type, major, minor, access }: DeviceAccessRule): Instruction[] {
  const body = allow ? grant(access) : deny(access);
  const tests: [number, number | undefined][] = [[TYPE, type && TYPES[type]], [MAJOR, major], [MINOR, minor]];
  const conditions = tests.filter(([, value]) => value !== undefined);
  return [
    ...conditions.map(([to, value], index) => ({
      op: OP.JUMP_UNLESS_EQUAL,
      to,
      value: value ?? 0,
      offset: conditions.length - 1 - index + body.length,
    })),
    ...body,
  ];
}

function grant(access: number): Instruction[] {
  const allowed = answer(true);
  return [
    { op: OP.AND, to: WANTED, value: ANY_ACCESS & ~access },
    { op: OP.JUMP_UNLESS_EQUAL, to: WANTED, value: 0, offset: allowed.length },
    ...allowed,
  ];
}

function deny(access: number): Instruction[] {
  const denied = answer(false);
  return [
    { op: OP.JUMP_IF_ANY, to: WANTED, value: access, offset: 1 },
    { op: OP.GO, offset: denied.length },
    ...denied,
  ];
}

function answer(allow: boolean): Instruction[] {
  return [{ op: OP.SET, to: RESULT, value: allow ? 1 : 0 }, { op: OP.EXIT }];
}

function encode(code: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(code.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer);
  code.forEach(({ op, to = 0, from = 0, offset = 0, value = 0 }, index) => {
    const at = index * INSTRUCTION_SIZE;
    view.setUint8(at, op);
    view.setUint8(at + 1, from << 4 | to);
    view.setInt16(at + 2, offset, true);
    view.setUint32(at + 4, value, true);
  });
  return bytes;
}
