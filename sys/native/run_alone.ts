/**
 * Runs a program by the native loop of any architecture, for tests: the loop's bytes and an image of the program
 * become a small static executable, which user-mode QEMU (Debian: qemu-user-static) runs where the architecture is
 * not this machine's.
 */

import { AARCH64 } from "../abi/aarch64.ts";
import { X86_64 } from "../abi/x86_64.ts";
import { Program, type Slot } from "../program.ts";
import { arch as ownArch } from "../syscall.ts";
import { CODE } from "./code.ts";
import { buildImage } from "./image.ts";
import { FLAG, HEADER, OPERATION, RECORD_SIZE } from "./layout.ts";
import { type Architecture, assembleText } from "./regenerate.ts";

/** How a program ended. */
export interface Outcome {
  /** Exit code of the child. */
  readonly code: number;
  /** What it wrote to fd 1. */
  readonly output: string;
  /** Its last record: name of the step, and result. */
  readonly record: readonly [name: string, result: number];
}

const CODE_ADDRESS = 0x400000n;
const DATA_ADDRESS = 0x10000000n;
const SIGCHLD = 17n;

const MACHINES = {
  x86_64: { elf: 62, numbers: X86_64, clone: X86_64.clone },
  aarch64: { elf: 183, numbers: AARCH64, clone: AARCH64.clone },
};

/** Calls run(DATA_ADDRESS), waits for the child, and exits with its exit code. The loop follows. */
const DRIVERS = {
  x86_64: `
    .intel_syntax noprefix
    mov ebx, ${DATA_ADDRESS}
    mov edi, ebx
    call end
    mov edi, [rbx + ${HEADER.PID}]
    sub rsp, 16
    mov rsi, rsp
    xor edx, edx
    xor r10d, r10d
    mov eax, ${X86_64.wait4}
    syscall
    mov edi, [rsp]
    shr edi, 8
    mov eax, ${X86_64.exit_group}
    syscall
    end:
  `,
  aarch64: `
    mov x19, #${DATA_ADDRESS}
    mov x0, x19
    bl end
    ldr x0, [x19, #${HEADER.PID}]
    sub sp, sp, #16
    mov x1, sp
    mov x2, #0
    mov x3, #0
    mov x8, #${AARCH64.wait4}
    svc #0
    ldr w0, [sp]
    lsr w0, w0, #8
    mov x8, #${AARCH64.exit_group}
    svc #0
    end:
  `,
};

/**
 * @param build adds the steps, and returns the first values of slots
 */
export async function runAlone(
  arch: Architecture,
  build: (program: Program) => ReadonlyMap<Slot, number | bigint> | void,
): Promise<Outcome> {
  const program = new Program();
  const inputs = build(program) ?? new Map();
  // The records go to fd 1 too; fd 0 stands for the parent's end of the status socket.
  const plan = { flags: 0, statusFd: 1, parentFd: 0, fds: new Map([[1, 1], [2, 2]]), inputs };
  const image = buildImage(program, plan, MACHINES[arch].numbers);
  image.relocate(DATA_ADDRESS);
  adapt(image.bytes, image.names, BigInt(MACHINES[arch].clone));
  const loop = Uint8Array.fromBase64(CODE[arch].join(""));
  const code = new Uint8Array([...await assembleText(arch, DRIVERS[arch]), ...loop]);
  const { exit, bytes } = await runElf(arch, elfOf(MACHINES[arch].elf, code, image.bytes));
  const text = bytes.subarray(0, bytes.length - RECORD_SIZE);
  const record = new DataView(bytes.buffer, bytes.byteOffset + text.length);
  const name = image.names[Number(record.getBigInt64(0, true)) / OPERATION.SIZE] ?? "?";
  return {
    code: exit,
    output: new TextDecoder().decode(text),
    record: [name, Number(record.getBigInt64(8, true))],
  };
}

/** User-mode QEMU has neither clone3 nor close_range. */
function adapt(image: Uint8Array, names: readonly string[], clone: bigint): void {
  const view = new DataView(image.buffer, image.byteOffset);
  names.forEach((name, index) => {
    const at = HEADER.SIZE + index * OPERATION.SIZE;
    if (name === "create process") {
      view.setBigInt64(at + OPERATION.NUMBER, clone, true);
      view.setBigInt64(at + OPERATION.ARGS, SIGCHLD, true);
      view.setBigInt64(at + OPERATION.ARGS + 8, 0n, true);
    }
    if (name === "close other fds on exec") {
      view.setBigInt64(at + OPERATION.FLAGS, BigInt(FLAG.MAY_FAIL), true);
    }
  });
}

async function runElf(arch: Architecture, elf: Uint8Array): Promise<{ exit: number; bytes: Uint8Array }> {
  const file = await Deno.makeTempFile({ prefix: "native-loop-" });
  try {
    await Deno.writeFile(file, elf, { mode: 0o700 });
    await Deno.chmod(file, 0o700);
    const [tool, args] = arch === ownArch ? [file, []] : [`qemu-${arch}-static`, [file]];
    const { code, stdout } = await new Deno.Command(tool, { args, stdout: "piped" }).output();
    return { exit: code, bytes: stdout };
  } finally {
    await Deno.remove(file);
  }
}

/** A static executable of two segments: code that starts at its first byte, and data. See elf(5). */
function elfOf(machine: number, code: Uint8Array, data: Uint8Array): Uint8Array {
  const PAGE = 4096;
  const [FILE_HEADER, PROGRAM_HEADER] = [64, 56];
  const dataOffset = PAGE + Math.ceil(code.length / PAGE) * PAGE;
  const elf = new Uint8Array(dataOffset + data.length);
  const view = new DataView(elf.buffer);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, CODE_ADDRESS, true);
  view.setBigUint64(32, BigInt(FILE_HEADER), true);
  view.setUint16(52, FILE_HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 2, true);
  const segment = (at: number, flags: number, offset: number, address: bigint, size: number) => {
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, address, true);
    view.setBigUint64(at + 24, address, true);
    view.setBigUint64(at + 32, BigInt(size), true);
    view.setBigUint64(at + 40, BigInt(size), true);
    view.setBigUint64(at + 48, BigInt(PAGE), true);
  };
  const [READ, WRITE, EXECUTE] = [4, 2, 1];
  segment(FILE_HEADER, READ | EXECUTE, PAGE, CODE_ADDRESS, code.length);
  segment(FILE_HEADER + PROGRAM_HEADER, READ | WRITE, dataOffset, DATA_ADDRESS, data.length);
  elf.set(code, PAGE);
  elf.set(data, dataOffset);
  return elf;
}
