/** The kernel's machine for programs of cgroups (linux/bpf.h), as far as those about devices use it. */

const INSTRUCTION_SIZE = 8;
const REGISTERS = 11;

/** What a program is asked: `struct bpf_cgroup_dev_ctx`. */
export interface DeviceAccess {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** bits: 1 mknod, 2 read, 4 write */
  readonly access: number;
}

/**
 * Runs a program.
 *
 * @returns whether it lets the access pass
 * @throws {Error} for a program that the kernel would refuse, as far as it is run
 */
export function isAllowed(instructions: Uint8Array, { type, major, minor, access }: DeviceAccess): boolean {
  const program = new DataView(instructions.buffer, instructions.byteOffset, instructions.byteLength);
  const context = [access << 16 | (type === "b" ? 1 : 2), major, minor];
  const registers: (number | undefined)[] = Array(REGISTERS).fill(undefined);
  const read = (register: number): number => {
    const value = registers[register];
    if (value === undefined) throw new Error(`register ${register} is read before it is set`);
    return value;
  };
  for (let at = 0;; at++) {
    const here = at * INSTRUCTION_SIZE;
    if (here < 0 || here >= instructions.length) throw new Error(`the program is left at ${at}`);
    const [op, to, from] = [
      program.getUint8(here),
      program.getUint8(here + 1) & 15,
      program.getUint8(here + 1) >> 4,
    ];
    const [offset, value] = [program.getInt16(here + 2, true), program.getUint32(here + 4, true)];
    switch (op) {
      case 0x61: {
        const word = context[offset / 4];
        if (from !== 1 || word === undefined) throw new Error(`a word is loaded from r${from} + ${offset}`);
        registers[to] = word >>> 0;
        break;
      }
      case 0xb4:
        registers[to] = value;
        break;
      case 0xbc:
        registers[to] = read(from);
        break;
      case 0x54:
        registers[to] = (read(to) & value) >>> 0;
        break;
      case 0x74:
        registers[to] = read(to) >>> value;
        break;
      case 0x56:
        if (read(to) !== value) at += offset;
        break;
      case 0x46:
        if ((read(to) & value) !== 0) at += offset;
        break;
      case 0x05:
        at += offset;
        break;
      case 0x95:
        return read(0) === 1;
      default:
        throw new Error(`unknown instruction 0x${op.toString(16)} at ${at}`);
    }
  }
}
