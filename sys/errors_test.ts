import assert from "node:assert/strict";
import { ERRNO, errnoName, errnoNumber, isErrno, SysError } from "./errors.ts";

Deno.test("a SysError says what was called on what and what the kernel answered", () => {
  const error = new SysError("openat", 2, "/x");
  assert.equal(error.message, 'cannot openat "/x": ENOENT');
  assert.deepEqual([error.syscall, error.errno, error.code, error.subject], ["openat", 2, "ENOENT", "/x"]);
  assert.equal(new SysError("sync", 5).message, "cannot sync: EIO");
  assert.equal(
    new SysError("RTM_NEWLINK", 22, "eth0", "no").message,
    'cannot RTM_NEWLINK "eth0": EINVAL (no)',
  );
  assert.ok(error instanceof Error);
});

Deno.test("isErrno tells SysErrors by their code", () => {
  const error: unknown = new SysError("openat", 2);
  assert.ok(isErrno(error));
  assert.ok(isErrno(error, "EACCES", "ENOENT"));
  assert.ok(!isErrno(error, "EACCES"));
  assert.ok(!isErrno(new Error("ENOENT"), "ENOENT"));
  assert.ok(!isErrno(undefined));
});

Deno.test("error names and numbers are found both ways", () => {
  for (const [name, number] of Object.entries(ERRNO)) {
    assert.equal(errnoName(number), name);
    assert.equal(errnoNumber(name), number);
  }
  assert.equal(errnoNumber("EWOULDBLOCK"), ERRNO.EAGAIN);
  assert.equal(errnoNumber("ENOTSUP"), ERRNO.EOPNOTSUPP);
  assert.equal(errnoNumber("ENOPE"), undefined);
  assert.equal(errnoName(999), "errno 999");
});
