import assert from "node:assert/strict";
import { ERRNO, SysError } from "../../sys/errors.ts";
import { chooseAccelerator, type KvmHost } from "./accelerator.ts";

const works: KvmHost = {
  openKvm: () => ({ apiVersion: 12, maxVcpus: 288, canCreateVm: true }),
  cpuFlags: () => ["fpu", "vmx"],
};
const failing = (errno: number): KvmHost => ({
  ...works,
  openKvm: () => {
    throw new SysError("openat", errno, "/dev/kvm");
  },
});
const noVm: KvmHost = {
  ...works,
  openKvm: () => ({
    apiVersion: 12,
    maxVcpus: 0,
    canCreateVm: false,
    createError: new SysError("KVM_CREATE_VM", ERRNO.EBUSY, "/dev/kvm"),
  }),
};
const inSoftware: KvmHost = { ...works, cpuFlags: () => ["fpu", "hypervisor"] };

Deno.test("auto takes KVM where it works", () => {
  assert.deepEqual(chooseAccelerator("auto", works), { accelerator: "kvm" });
  assert.deepEqual(chooseAccelerator("auto", { ...works, cpuFlags: () => ["svm"] }), { accelerator: "kvm" });
  // arm64 has no such flags
  assert.deepEqual(chooseAccelerator("auto", { ...works, cpuFlags: () => undefined }), {
    accelerator: "kvm",
  });
});

Deno.test("auto falls back to software, and says why", () => {
  const because = (host: KvmHost) => {
    const choice = chooseAccelerator("auto", host);
    assert.equal(choice.accelerator, "tcg");
    return choice.because;
  };
  assert.equal(because(failing(ERRNO.ENOENT)), "there is no /dev/kvm");
  assert.equal(because(failing(ERRNO.EACCES)), "/dev/kvm cannot be opened: EACCES");
  assert.equal(because(noVm), "/dev/kvm cannot create a VM: EBUSY");
  assert.match(because(inSoftware) ?? "", /neither "vmx" nor "svm"/);
});

Deno.test("kvm asked for and not to be had is one sentence", () => {
  assert.throws(
    () => chooseAccelerator("kvm", failing(ERRNO.ENOENT)),
    /^Error: cannot run the VM with accelerator "kvm": there is no \/dev\/kvm$/,
  );
  assert.throws(() => chooseAccelerator("kvm", noVm), /\/dev\/kvm cannot create a VM: EBUSY/);
});

Deno.test("who asks for kvm gets it even where it is slow, and for tcg without a look at the host", () => {
  assert.deepEqual(chooseAccelerator("kvm", inSoftware), { accelerator: "kvm" });
  assert.deepEqual(chooseAccelerator("tcg", failing(ERRNO.EIO)), { accelerator: "tcg" });
});

Deno.test("the host at hand can be asked", () => {
  assert.ok(["kvm", "tcg"].includes(chooseAccelerator("auto").accelerator));
});
