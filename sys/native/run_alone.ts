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
import { DATA_ADDRESS, staticExecutable } from "./static_executable.ts";

/** How a program ended. */
export interface Outcome {
  /** Exit code of the child. */
  readonly code: number;
  /** What it wrote to fd 1. */
  readonly output: string;
  /** Its last record: name of the step, and result. */
  readonly record: readonly [name: string, result: number];
}

const SIGCHLD = 17n;

const MACHINES = {
  x86_64: { numbers: X86_64, clone: X86_64.clone },
  aarch64: { numbers: AARCH64, clone: AARCH64.clone },
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
  const { exit, bytes } = await runElf(arch, staticExecutable(arch, code, image.bytes));
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
