import assert from "node:assert/strict";
import { AT, O } from "../abi/file.ts";
import { type Slot, u32 } from "../program.ts";
import { CODE } from "./code.ts";
import { EXIT_FAILED } from "./layout.ts";
import { IDLE } from "./idle.ts";
import { type Architecture, assemble, assembleText } from "./regenerate.ts";
import { runAlone } from "./run_alone.ts";
import { ENTRY } from "./static_executable.ts";

const ARCHITECTURES: readonly Architecture[] = ["x86_64", "aarch64"];

for (const arch of ARCHITECTURES) {
  Deno.test(`the ${arch} program that waits is what its source assembles to`, async () => {
    const source = await Deno.readTextFile(new URL(`./idle_${arch}.S`, import.meta.url));
    assert.deepEqual(Uint8Array.fromBase64(IDLE[arch]), await assembleText(arch, source));
  });

  Deno.test(`the ${arch} loop in code.ts is what its source assembles to`, async () => {
    assert.deepEqual(Uint8Array.fromBase64(CODE[arch].join("")), await assemble(arch));
  });

  Deno.test(`the ${arch} executable of a program begins as its source assembles`, async () => {
    const { source, bytes } = ENTRY[arch];
    assert.deepEqual(Uint8Array.fromHex(bytes), await assembleText(arch, source));
  });

  Deno.test(`the ${arch} loop runs a program to its end`, async () => {
    const result = await runAlone(arch, (program) => {
      program.step("write", "write", [1, program.cstring("hello\n"), 6]);
    });
    assert.deepEqual(result, { code: 0, output: "hello\n", record: ["end of the program", 2] });
  });

  Deno.test(`the ${arch} loop saves results and takes arguments from cells of 64 and 32 bits`, async () => {
    const result = await runAlone(arch, (program) => {
      const [length, narrow, wide] = [
        program.slot("length"),
        program.slot("narrow", 32),
        program.slot("wide"),
      ];
      const cells = program.struct([narrow, u32(-1), wide]);
      program.step("write 6", "write", [1, program.cstring("first\n"), 6], { save: length });
      program.compute("7", length, length, { or: 1 });
      program.step("write 7", "write", [1, program.cstring("second\n"), length]);
      program.step("use the structure", "pread64", [9, cells, 4, 0], { mayFail: ["EBADF"] });
      program.expect("narrow is -5", narrow, { equals: -5, errno: "ERANGE" });
      program.expect("wide is large", wide, {
        and: 0xff00_0000_0000n,
        equals: 0x1200_0000_0000n,
        errno: "ERANGE",
      });
      return new Map<Slot, number | bigint>([[narrow, -5], [wide, 0x1234_5678_9abcn]]);
    });
    assert.deepEqual(result, { code: 0, output: "first\nsecond\n", record: ["end of the program", 2] });
  });

  Deno.test(`the ${arch} loop passes all six arguments in order`, async () => {
    const result = await runAlone(arch, (program) => {
      // The page of the executable that the program itself is in: its first word is the number of a descriptor, 1.
      const [file, address] = [program.slot("file"), program.slot("address")];
      const [PROT_READ, MAP_PRIVATE, PAGE] = [1, 2, 4096];
      const path = program.cstring("/proc/self/exe");
      program.step("open itself", "openat", [AT.FDCWD, path, O.RDONLY], { save: file });
      const args = [0, PAGE, PROT_READ, MAP_PRIVATE, file, 2 * PAGE];
      program.step("map its data", "mmap", args, { save: address });
      program.step("write", "write", [1, address, 1]);
    });
    assert.deepEqual(result, { code: 0, output: "\x01", record: ["end of the program", 2] });
  });

  Deno.test(`the ${arch} loop jumps forward on success and on failure`, async () => {
    const result = await runAlone(arch, (program) => {
      const [bad, good, end] = [program.label("bad"), program.label("good"), program.label("end")];
      program.step("fails", "close", [77], { mayFail: ["EPERM", "EBADF"], onFailure: good, onSuccess: bad });
      program.place(bad);
      program.fail("wrong way", "EIO");
      program.place(good);
      program.step("write", "write", [1, program.cstring("a"), 1], { onSuccess: end });
      program.fail("wrong way", "EIO");
      program.place(end);
      program.expect("equal", 5, { and: 4, equals: 4, errno: "EIO" });
      program.expect("not equal", 5, { and: 4, equals: 5, errno: "EAGAIN" }, { mayFail: ["EAGAIN"] });
      const last = program.label("last");
      program.jump(last);
      program.fail("wrong way", "EIO");
      program.place(last);
    });
    assert.deepEqual(result, { code: 0, output: "a", record: ["end of the program", 2] });
  });

  Deno.test(`the ${arch} loop reports the step that failed, and its error`, async () => {
    const result = await runAlone(arch, (program) => {
      program.step("allowed", "close", [77], { mayFail: true });
      program.step("bad descriptor", "close", [77], { mayFail: ["EPERM"] });
      program.step("never", "write", [1, program.cstring("never"), 5]);
    });
    assert.deepEqual(result, { code: EXIT_FAILED, output: "", record: ["bad descriptor", -9] });
  });

  Deno.test(`the ${arch} loop keeps the result of a failure`, async () => {
    const result = await runAlone(arch, (program) => {
      const failed = program.slot("failed");
      program.step("fails", "close", [77], { mayFail: true, save: failed });
      program.expect("EBADF was kept", failed, { equals: -9, errno: "ERANGE" });
      program.fail("as expected", "ENOTTY");
    });
    assert.deepEqual(result, { code: EXIT_FAILED, output: "", record: ["as expected", -25] });
  });
}
