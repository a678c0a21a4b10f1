import assert from "node:assert/strict";
import { Program } from "../program.ts";
import { arch as ownArch } from "../syscall.ts";
import { EXIT_FAILED } from "./layout.ts";
import { executableOf } from "./static_executable.ts";

/** Runs it by itself, or by the emulator of its architecture. */
async function run(
  arch: "x86_64" | "aarch64",
  build: (program: Program) => void,
): Promise<{ code: number; output: string }> {
  const program = new Program();
  build(program);
  const file = await Deno.makeTempFile({ prefix: "static-executable-" });
  try {
    await Deno.writeFile(file, executableOf(arch, program));
    await Deno.chmod(file, 0o700);
    const [tool, args] = arch === ownArch ? [file, []] : [`qemu-${arch}-static`, [file]];
    const { code, stdout } = await new Deno.Command(tool, { args }).output();
    return { code, output: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(file);
  }
}

for (const arch of ["x86_64", "aarch64"] as const) {
  Deno.test(`a program is an executable for ${arch} that says nothing but what its steps say`, async () => {
    const result = await run(arch, (program) => {
      const skipped = program.label("skipped");
      program.step("open nothing", "openat", [-100, program.cstring("/no/file"), 0], { onFailure: skipped });
      program.step("not reached", "write", [1, program.cstring("no"), 2]);
      program.place(skipped);
      program.step("write", "write", [1, program.cstring("hello\n"), 6]);
    });
    assert.deepEqual(result, { code: 0, output: "hello\n" });
  });

  Deno.test(`an executable of a program for ${arch} ends where a step fails`, async () => {
    const result = await run(arch, (program) => {
      program.step("close nothing", "close", [77]);
      program.step("not reached", "write", [1, program.cstring("no"), 2]);
    });
    assert.deepEqual(result, { code: EXIT_FAILED, output: "" });
  });
}

Deno.test("an executable of a program can become another", async () => {
  const result = await run(ownArch, (program) => {
    const args = program.cstrings(["name", "-c", 'echo "$0 $A"', "zero"]);
    program.step("execve", "execve", [program.cstring("/bin/sh"), args, program.cstrings(["A=1"])]);
  });
  assert.deepEqual(result, { code: 0, output: "zero 1\n" });
});
