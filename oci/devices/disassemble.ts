/** A filter of devices as text, for people: its rules, and its program an instruction a line. */

import { type DeviceAccessRule, ruleLine } from "./rules.ts";

/** A rule with its verdict: `allow c 1:3 rwm`. */
export function ruleText(rule: DeviceAccessRule): string {
  return `${rule.allow ? "allow" : "deny"} ${ruleLine(rule)}`;
}

/** What comes between two operands, by the operation. */
const OPERATORS: ReadonlyMap<number, string> = new Map([[0x54, "&="], [0x74, ">>="], [0xb4, "="]]);

/**
 * @param program array of `struct bpf_insn`
 * @returns lines such as `6: if w2 != 0x2 goto 9`
 */
export function disassembleDeviceProgram(program: Uint8Array): string[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  return Array.from({ length: program.length >> 3 }, (_, at) => {
    const [op, registers] = [view.getUint8(8 * at), view.getUint8(8 * at + 1)];
    const [offset, value] = [view.getInt16(8 * at + 2, true), view.getUint32(8 * at + 4, true)];
    const [to, from] = [`w${registers & 15}`, `w${registers >> 4}`];
    return `${at}: ${
      text(op, { to, from, target: at + 1 + offset, offset, value: `0x${value.toString(16)}` })
    }`;
  });
}

interface Operands {
  readonly to: string;
  readonly from: string;
  readonly target: number;
  readonly offset: number;
  readonly value: string;
}

function text(op: number, { to, from, target, offset, value }: Operands): string {
  const operator = OPERATORS.get(op);
  if (operator) return `${to} ${operator} ${value}`;
  switch (op) {
    case 0x61:
      return `${to} = context[${offset}]`;
    case 0xbc:
      return `${to} = ${from}`;
    case 0x56:
      return `if ${to} != ${value} goto ${target}`;
    case 0x46:
      return `if ${to} & ${value} goto ${target}`;
    case 0x05:
      return `goto ${target}`;
    case 0x95:
      return "return w0";
    default:
      return `operation 0x${op.toString(16)} ${to} ${from} ${offset} ${value}`;
  }
}
