/** The classic packet filter machine, as far as filters of system calls use it (linux/filter.h). */

const INSTRUCTION_SIZE = 8;
/** What the kernel takes at most. */
const MAX_INSTRUCTIONS = 4096;

/** What a filter looks at: `struct seccomp_data`. */
export interface Call {
  readonly number: number;
  readonly audit: number;
  /** six, of 64 bits */
  readonly args: readonly bigint[];
}

/**
 * Runs a filter as the kernel would.
 *
 * @throws {Error} for a program that the kernel would refuse
 */
export function verdict(instructions: Uint8Array, call: Call): number {
  const program = new DataView(instructions.buffer, instructions.byteOffset, instructions.byteLength);
  const count = instructions.length / INSTRUCTION_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > MAX_INSTRUCTIONS) {
    throw new Error(`${count} instructions`);
  }
  const input = inputOf(call);
  let accumulator = 0;
  for (let at = 0;;) {
    if (at >= count) throw new Error(`the program is left at ${at}`);
    const here = at * INSTRUCTION_SIZE;
    const code = program.getUint16(here, true);
    const value = program.getUint32(here + 4, true);
    const jump = (isSo: boolean) => at += 1 + program.getUint8(here + (isSo ? 2 : 3));
    switch (code) {
      case 0x20: // ld [value]
        if (value % 4 !== 0) throw new Error(`a word is loaded from ${value}`);
        accumulator = input.getUint32(value, true);
        at++;
        break;
      case 0x54: // and #value
        accumulator = (accumulator & value) >>> 0;
        at++;
        break;
      case 0x05: // ja
        at += 1 + value;
        break;
      case 0x15:
        jump(accumulator === value);
        break;
      case 0x25:
        jump(accumulator > value);
        break;
      case 0x35:
        jump(accumulator >= value);
        break;
      case 0x06:
        return value;
      default:
        throw new Error(`unknown instruction ${code} at ${at}`);
    }
  }
}

function inputOf({ number, audit, args }: Call): DataView {
  const input = new DataView(new ArrayBuffer(64));
  input.setUint32(0, number, true);
  input.setUint32(4, audit, true);
  args.forEach((value, index) => input.setBigUint64(16 + 8 * index, value, true));
  return input;
}
