/** A filter of system calls as text, an instruction a line, for people. */

/** Offsets in `struct seccomp_data`, as words. */
function fieldName(offset: number): string {
  if (offset === 0) return "nr";
  if (offset === 4) return "arch";
  if (offset < 16) return offset === 8 ? "ip.low" : "ip.high";
  return `args[${(offset - 16) >> 3}].${offset % 8 === 0 ? "low" : "high"}`;
}

const RETURNS: ReadonlyMap<number, string> = new Map([
  [0x8000_0000, "KILL_PROCESS"],
  [0x0000_0000, "KILL_THREAD"],
  [0x0003_0000, "TRAP"],
  [0x0005_0000, "ERRNO"],
  [0x7fc0_0000, "USER_NOTIF"],
  [0x7ff0_0000, "TRACE"],
  [0x7ffc_0000, "LOG"],
  [0x7fff_0000, "ALLOW"],
]);

function returnText(value: number): string {
  const name = RETURNS.get((value & 0xffff_0000) >>> 0) ?? `0x${value.toString(16)}`;
  return value & 0xffff ? `${name}(${value & 0xffff})` : name;
}

const TESTS: ReadonlyMap<number, string> = new Map([[0x15, "=="], [0x25, ">"], [0x35, ">="], [0x45, "&"]]);

/**
 * @param instructions array of `struct sock_filter`
 * @returns lines such as `12: if == 0x3b goto 14, else 13`
 */
export function disassemble(instructions: Uint8Array): string[] {
  const view = new DataView(instructions.buffer, instructions.byteOffset, instructions.byteLength);
  return Array.from({ length: instructions.length >> 3 }, (_, at) => {
    const [code, yes, no] = [
      view.getUint16(8 * at, true),
      view.getUint8(8 * at + 2),
      view.getUint8(8 * at + 3),
    ];
    const value = view.getUint32(8 * at + 4, true);
    return `${at}: ${instructionText(at, { code, yes, no, value })}`;
  });
}

interface Instruction {
  readonly code: number;
  readonly yes: number;
  readonly no: number;
  readonly value: number;
}

function instructionText(at: number, { code, yes, no, value }: Instruction): string {
  const test = TESTS.get(code);
  if (test) return `if ${test} 0x${value.toString(16)} goto ${at + 1 + yes}, else ${at + 1 + no}`;
  switch (code) {
    case 0x20:
      return `load ${fieldName(value)}`;
    case 0x54:
      return `and 0x${value.toString(16)}`;
    case 0x05:
      return `goto ${at + 1 + value}`;
    case 0x06:
      return `return ${returnText(value)}`;
    default:
      return `code 0x${code.toString(16)} ${yes} ${no} 0x${value.toString(16)}`;
  }
}
