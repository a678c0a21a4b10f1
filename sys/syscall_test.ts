import assert from "node:assert/strict";
import { SysError } from "./errors.ts";
import { closeFd, memfd, pipe } from "./fd.ts";
import { arch, cstr, fromCstr, NR, Pinned, syscall, syscallWide, trySyscall } from "./syscall.ts";
import { encode } from "./test_helpers.ts";

Deno.test("a call without arguments answers its result", () => {
  assert.equal(syscall("getpid", []), Deno.pid);
  assert.equal(NR.getpid, arch === "x86_64" ? 39 : 172);
});

Deno.test("an error is thrown by syscall and returned by trySyscall", () => {
  assert.throws(() => syscall("close", [-1], "minus one"), (error: unknown) => {
    assert.ok(error instanceof SysError);
    assert.deepEqual([error.syscall, error.code, error.subject], ["close", "EBADF", "minus one"]);
    return true;
  });
  assert.equal(trySyscall("close", [-1]), -9);
});

Deno.test("each call reports its own error, however many came before and between", () => {
  const missing = cstr("/does/not/exist");
  for (let i = 0; i < 20_000; i++) {
    assert.equal(trySyscall("close", [-1]), -9);
    assert.equal(trySyscall("getpid", []), Deno.pid);
    if (i % 100 === 0) assert.equal(trySyscall("openat", [-100, missing, 0, 0]), -2);
  }
});

Deno.test("memory can stand at any place, and at several", () => {
  const [reader, writer] = pipe();
  try {
    assert.equal(syscall("write", [writer, encode("abc"), 3]), 3);
    const buffer = new Uint8Array(5);
    assert.equal(syscall("read", [reader, buffer, 5]), 3);
    assert.deepEqual([...buffer], [97, 98, 99, 0, 0]);
    // Two at once: readlinkat(folder, path, buffer, size).
    const link = new Uint8Array(100);
    const length = syscall("readlinkat", [-100, cstr("/proc/self/fd/" + reader), link, 100]);
    assert.match(new TextDecoder().decode(link.subarray(0, length)), /^pipe:/);
  } finally {
    closeFd(reader);
    closeFd(writer);
  }
});

Deno.test("part of an array is passed as that part", () => {
  const [reader, writer] = pipe();
  try {
    const data = encode("0123456789");
    syscall("write", [writer, data.subarray(3, 6), 3]);
    const buffer = new Uint8Array(10).fill(46);
    syscall("read", [reader, buffer.subarray(4), 6]);
    assert.equal(new TextDecoder().decode(buffer), "....345...");
  } finally {
    closeFd(reader);
    closeFd(writer);
  }
});

Deno.test("memory of any size is written and read alike, several at once, up to the last byte", () => {
  for (const size of [1, 7, 8, 9, 255, 2040, 2047, 2048, 2049, 5000]) {
    const filled = new Uint8Array(size + 2);
    const inside = filled.subarray(1, size + 1);
    assert.equal(syscall("getrandom", [inside, size, 0]), size);
    assert.deepEqual([filled[0], filled[size + 1]], [0, 0], "it wrote beside it");
    if (size > 30) assert.ok(inside.some((byte) => byte !== 0));

    const link = new Uint8Array(size);
    const path = cstr("/proc/self/" + "./".repeat(Math.min(size, 1800) >> 1) + "exe");
    const length = syscall("readlinkat", [-100, path, link, size]);
    const expected = Deno.readLinkSync("/proc/self/exe").slice(0, size);
    assert.equal(fromCstr(link.subarray(0, length)), expected);
    assert.ok(link.subarray(length).every((byte) => byte === 0));
    assert.equal(path[0], 47);
  }
});

Deno.test("numbers keep their bits, negative, large and 64-bit ones", () => {
  const file = memfd("numbers");
  try {
    assert.equal(syscallWide("lseek", [file, 0x1_2345_6789_abcd, 0]), 0x1_2345_6789_abcdn);
    assert.equal(syscallWide("lseek", [file, 0x1_2345_6789_abcen, 0]), 0x1_2345_6789_abcen);
    assert.equal(syscallWide("lseek", [file, -0xcen, 1]), 0x1_2345_6789_abcen - 0xcen);
    // An unsigned 64-bit number, which as offset is a negative one.
    assert.throws(() => syscallWide("lseek", [file, 0xffff_ffff_ffff_ff00n, 0]), { code: "EINVAL" });
    assert.equal(trySyscall("fcntl", [file, 0xffff_ffff, 0]), -22);
  } finally {
    closeFd(file);
  }
});

Deno.test("wide results keep more than 32 bits: an address", () => {
  const size = 4096;
  const address = syscallWide("mmap", [0, size, 3, 0x22, -1, 0]);
  assert.ok(address > 0xffff_ffffn);
  assert.equal(syscall("munmap", [address, size]), 0);
  assert.throws(() => syscallWide("mmap", [0, 0, 3, 0x22, -1, 0], "nothing"), {
    code: "EINVAL",
    subject: "nothing",
  });
});

Deno.test("strings get one NUL, and must not have one", () => {
  assert.deepEqual([...cstr("aä")], [97, 0xc3, 0xa4, 0]);
  assert.deepEqual([...cstr("")], [0]);
  assert.throws(() => cstr("a\0b"), TypeError);
  assert.equal(fromCstr(new Uint8Array([120, 97, 98, 0, 99]), 1), "ab");
  assert.equal(fromCstr(new Uint8Array([97, 98])), "ab");
});

Deno.test("pinned memory is where it says, also after garbage was collected", () => {
  const [reader, writer] = pipe();
  try {
    const memory = new Pinned(3);
    assert.equal(memory.bytes.length, 3);
    memory.bytes.set(encode("abc"));
    let garbage: unknown[] = [];
    for (let i = 0; i < 200_000; i++) {
      garbage.push(new Uint8Array(16), { i });
      if (garbage.length > 50_000) garbage = [];
    }
    memory.view.setUint8(1, 0x42);
    assert.equal(syscall("write", [writer, memory.address, 3]), 3);
    const buffer = new Uint8Array(3);
    assert.equal(syscall("read", [reader, buffer, 3]), 3);
    assert.equal(new TextDecoder().decode(buffer), "aBc");
  } finally {
    closeFd(reader);
    closeFd(writer);
  }
});
