import assert from "node:assert/strict";
import { AT, O, S } from "./abi/file.ts";
import { buildImage } from "./native/image.ts";
import { HEADER, OPERATION } from "./native/layout.ts";
import { Program, u16, u32 } from "./program.ts";

const PLAN = { flags: 0, statusFd: 9, parentFd: 8, fds: new Map([[1, 1]]), inputs: new Map() };

Deno.test("describe writes one readable line per step", () => {
  const program = new Program();
  const [root, mode] = [program.slot("root"), program.slot("mode", 32)];
  const [found, missing] = [program.label("found"), program.label("missing")];
  const how = program.struct([O.PATH | O.CLOEXEC, 0, 0x10]);
  program.step("open rootfs", "openat2", [AT.FDCWD, program.cstring("/srv/root"), how, 24], { save: root });
  program.step("mount /proc", "mount", [
    program.cstring("proc"),
    program.cstring("proc"),
    program.cstring("proc"),
    14,
    0,
  ]);
  program.step("private", "mount", [0, program.cstring("/"), 0, (1 << 14) | (1 << 18), 0]);
  program.step("make /dev", "mkdirat", [root, program.cstring("dev"), 0o755], { mayFail: ["EEXIST"] });
  program.step("make null", "mknodat", [root, program.cstring("dev/null"), S.IFCHR | 0o666, 0x103], {
    mayFail: true,
  });
  const readOnly = program.bytes(new Uint8Array(new BigUint64Array([1n, 0n, 0n, 0n]).buffer));
  program.step("read only", "mount_setattr", [AT.FDCWD, program.cstring("/"), AT.RECURSIVE, readOnly, 32]);
  const empty = program.cstring("");
  program.step("attach", "move_mount", [root, empty, root, empty, 0x44]);
  program.step("may run", "faccessat2", [root, empty, 5, 0x1200]);
  program.step("look", "statx", [root, empty, 0x1100, 3, 0]);
  program.step("make tmpfs", "fsopen", [program.cstring("tmpfs"), 1]);
  program.step("size", "fsconfig", [root, 1, program.cstring("size"), program.cstring("64k"), 0]);
  program.step("create", "fsconfig", [root, 6, 0, 0, 0]);
  program.step("detach", "umount2", [program.cstring("."), 2]);
  program.step("isolate", "unshare", [0x2000000]);
  program.step("look for sh", "faccessat", [AT.FDCWD, program.cstring("/bin/sh"), 1], {
    mayFail: ["ENOENT", "EACCES"],
    onSuccess: found,
    onFailure: missing,
  });
  program.place(missing);
  program.fail("find sh in PATH", "ENOENT");
  program.place(found);
  program.step("status", "pread64", [root, program.struct([mode, u32(0)]), 4, 0]);
  program.expect("is a folder", mode, { and: 0o170000, equals: 0o040000, errno: "ENOTDIR" });
  program.compute("keep flags", root, root, { and: 0xf, or: 0x20 });
  program.step("filter", "seccomp", [
    1,
    0,
    program.struct([u16(3), u16(0), u32(0), program.bytes(new Uint8Array(24).fill(7))]),
  ]);
  program.step("write map", "write", [root, program.bytes(new TextEncoder().encode("0 1000 65536\n")), 13]);
  program.step("no new privileges", "prctl", [38, 1, 0, 0, 0]);
  program.step("limit files", "prlimit64", [0, 7, program.struct([1024, 4096n]), 0]);
  program.checkpoint("created");
  program.awaitGo("wait for start");
  program.wireFds();
  program.step("run", "execve", [
    program.cstring("/bin/sh"),
    program.cstrings(["sh", "-c", "x"]),
    program.cstrings([]),
  ]);
  assert.deepEqual(program.describe(), [
    'open rootfs: $root = openat2(AT_FDCWD, "/srv/root", {O_PATH|O_CLOEXEC, 0, RESOLVE_IN_ROOT}, 24)',
    'mount /proc: mount("proc", "proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)',
    'private: mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL)',
    'make /dev: mkdirat($root, "dev", 0755); on EEXIST go on',
    'make null: mknodat($root, "dev/null", S_IFCHR|0666, 1:3); on failure go on',
    'read only: mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, {MOUNT_ATTR_RDONLY, 0, 0, 0}, 32)',
    'attach: move_mount($root, "", $root, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    'may run: faccessat2($root, "", R_OK|X_OK, AT_EACCESS|AT_EMPTY_PATH)',
    'look: statx($root, "", AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH, 0x3, 0)',
    'make tmpfs: fsopen("tmpfs", FSOPEN_CLOEXEC)',
    'size: fsconfig($root, FSCONFIG_SET_STRING, "size", "64k", 0)',
    "create: fsconfig($root, FSCONFIG_CMD_CREATE, NULL, NULL, 0)",
    'detach: umount2(".", MNT_DETACH)',
    "isolate: unshare(CLONE_NEWCGROUP)",
    'look for sh: faccessat(AT_FDCWD, "/bin/sh", X_OK); on success go to found; on ENOENT or EACCES go to missing',
    "missing:",
    "find sh in PATH: fail with ENOENT",
    "found:",
    "status: pread64($root, {$mode, 0}, 4, 0)",
    "is a folder: expect ($mode & 0xf000) == 0x4000, else ENOTDIR",
    "keep flags: $root = ($root & 0xf) | 0x20",
    "filter: seccomp(1, 0, {3, 0, 0, <24 bytes 368d337d>})",
    'write map: write($root, "0 1000 65536\\n", 13)',
    "no new privileges: prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)",
    "limit files: prlimit64(0, RLIMIT_NOFILE, {1024, 4096}, NULL)",
    "created: checkpoint",
    "wait for start: wait for the parent",
    "wire file descriptors",
    'run: execve("/bin/sh", ["sh", "-c", "x"], [])',
  ]);
});

Deno.test("the same text is stored once", () => {
  const program = new Program();
  assert.equal(program.cstring("/proc"), program.cstring("/proc"));
});

Deno.test("an image holds data once, adds its address everywhere, and ends texts with a zero byte", () => {
  const program = new Program();
  const text = program.cstring("text");
  program.step("one", "chdir", [text]);
  program.step("two", "execve", [
    text,
    program.cstrings(["text", "é"]),
    program.struct([text, 7, u32(5), u32(6)]),
  ]);
  const image = buildImage(program, PLAN);
  const base = 0x7000_0000_0000n;
  image.relocate(base);
  const view = new DataView(image.bytes.buffer);
  const args = (step: string) =>
    HEADER.SIZE + image.names.lastIndexOf(step) * OPERATION.SIZE + OPERATION.ARGS;
  const offset = (at: number) => Number(view.getBigInt64(at, true) - base);
  const textAt = (at: number) => {
    const end = image.bytes.indexOf(0, at);
    return new TextDecoder().decode(image.bytes.subarray(at, end));
  };
  assert.equal(offset(args("one")), offset(args("two")));
  assert.equal(textAt(offset(args("one"))), "text");
  const list = offset(args("two") + 8);
  assert.deepEqual([textAt(offset(list)), textAt(offset(list + 8))], ["text", "é"]);
  assert.equal(view.getBigInt64(list + 16, true), 0n);
  const struct = offset(args("two") + 16);
  assert.equal(offset(struct), offset(args("one")));
  assert.equal(view.getBigInt64(struct + 8, true), 7n);
  assert.deepEqual([view.getInt32(struct + 16, true), view.getInt32(struct + 20, true)], [5, 6]);
});

Deno.test("what makes no sense is refused when the program is built", () => {
  const program = new Program();
  const behind = program.label("behind");
  program.place(behind);
  program.slot("a");
  program.checkpoint("here");
  program.wireFds();
  const narrow = program.slot("narrow", 32);
  const cases: [() => void, string][] = [
    [() => program.slot("a"), 'slot "a" exists already in this program'],
    [() => program.checkpoint("here"), 'checkpoint "here" exists already in this program'],
    [() => program.place(behind), 'label "behind" is placed twice'],
    [() => program.jump(behind), 'label "behind" is behind: jumps only go forward'],
    [() => program.wireFds(), "wireFds is called twice"],
    [() => program.fail("x", "ENOTHING"), 'there is no error named "ENOTHING"'],
    [() => program.step("x", "close", [1], { mayFail: ["EWHAT"] }), 'there is no error named "EWHAT"'],
    [
      () => program.step("x", "close", [1.5]),
      "an argument must be an integer that a number can hold: it is 1.5",
    ],
    [
      () => program.step("x", "close", [1, 2, 3, 4, 5, 6, 7]),
      'step "x" has 7 arguments: at most 6 are possible',
    ],
    [
      () => program.step("x", "dup", [1], { save: narrow }),
      'step "x" cannot save to slot "narrow": it must have 64 bits',
    ],
    [() => program.cstring("a\0b"), 'a text for the kernel cannot have a zero byte: it is "a\\u0000b"'],
    [() => program.cstrings(["a\0b"]), 'a text for the kernel cannot have a zero byte: it is "a\\u0000b"'],
    [
      () => program.step("x", "close", [1], { mayFail: false, onFailure: program.label("there") }),
      'label "there" cannot be reached: mayFail is false',
    ],
  ];
  for (const [build, message] of cases) assert.throws(build, { message });
});

Deno.test("what makes no sense as a whole is refused when the program is laid out", () => {
  const build = (steps: (program: Program) => void) => () => {
    const program = new Program();
    steps(program);
    buildImage(program, PLAN);
  };
  assert.throws(build((program) => program.jump(program.label("end"))), {
    message: 'label "end" is jumped to but never placed',
  });
  assert.throws(build((program) => program.step("x", "close", [program.slot("fd")])), {
    message: 'slot "fd" has no value: no step saves to it, and no input sets it',
  });
  assert.throws(
    build((program) => {
      const cell = program.slot("cell");
      program.step("x", "pipe2", [program.struct([cell]), 0]);
      program.step("x", "pipe2", [program.struct([cell]), 0]);
    }),
    { message: 'slot "cell" is part of two structures' },
  );
});
