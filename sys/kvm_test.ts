import assert from "node:assert/strict";
import { SysError } from "./errors.ts";
import { openKvm } from "./kvm.ts";

Deno.test("KVM tells what it can do, or why it cannot be opened", () => {
  let present: boolean;
  try {
    present = Deno.statSync("/dev/kvm").isCharDevice ?? false;
  } catch {
    present = false;
  }
  if (!present) {
    assert.throws(() => openKvm(), { message: 'cannot openat "/dev/kvm": ENOENT' });
    return;
  }
  try {
    const kvm = openKvm();
    assert.equal(kvm.apiVersion, 12);
    assert.ok(kvm.maxVcpus >= 1);
    assert.equal(kvm.canCreateVm, kvm.createError === undefined);
  } catch (error) {
    assert.ok(error instanceof SysError && error.subject === "/dev/kvm", String(error));
  }
});

Deno.test("a device that is not KVM, or not there, is an error that names it", () => {
  assert.throws(() => openKvm("/dev/null"), { syscall: "ioctl", code: "ENOTTY", subject: "/dev/null" });
  assert.throws(() => openKvm("/does/not/exist"), { code: "ENOENT", subject: "/does/not/exist" });
});
