import assert from "node:assert/strict";
import { testConfig, testSpec } from "../testing/fake_host.ts";
import { hostKernelParams, machineParts, type PartsHost } from "./parts.ts";
import { planMachine } from "./plan.ts";

const HOST: PartsHost = { arch: "x86_64", sizeOf: () => 4096, hasSelinux: () => true, hasFips: () => false };

Deno.test("the monitor gets the container's SELinux label where the host has SELinux, unless that is disabled", () => {
  const spec = testSpec({ process: { ...testSpec().process, selinuxLabel: "u:r:container_kvm_t:s0" } });
  const config = testConfig();
  assert.equal(machineParts({ spec, config, host: HOST }).selinuxLabel, "u:r:container_kvm_t:s0");
  const without = { ...HOST, hasSelinux: () => false };
  assert.equal(machineParts({ spec, config, host: without }).selinuxLabel, undefined);
  assert.equal(machineParts({ spec: testSpec(), config, host: HOST }).selinuxLabel, undefined);
  config.hypervisor.disable_selinux = true;
  assert.equal(machineParts({ spec, config, host: HOST }).selinuxLabel, undefined);
});

Deno.test("an image is mapped as memory where machines can, and is a disk elsewhere", () => {
  const imageOf = (change: Record<string, unknown>, arch = "x86_64") => {
    const config = testConfig();
    Object.assign(config.hypervisor, { initrd: "", image: "/image" }, change);
    return machineParts({ spec: testSpec(), config, host: { ...HOST, arch } }).image;
  };
  assert.deepEqual(imageOf({}), { path: "/image", sizeBytes: 4096, fsType: "ext4", asMemory: true });
  assert.equal(imageOf({ disable_image_nvdimm: true })?.asMemory, false);
  assert.equal(imageOf({ machine_type: "microvm" })?.asMemory, false);
  assert.equal(imageOf({ confidential_guest: true })?.asMemory, false);
  assert.equal(imageOf({}, "aarch64")?.asMemory, false);
  assert.equal(imageOf({ firmware: "/efi" }, "aarch64")?.asMemory, true);
  assert.equal(imageOf({ image: "" }), undefined);
});

Deno.test("disks are plugged in as it is configured", () => {
  const partsOf = (change: Record<string, unknown>) => {
    const config = testConfig();
    Object.assign(config.hypervisor, change);
    return machineParts({ spec: testSpec(), config, host: HOST });
  };
  const usual = { driver: "virtio-scsi", aio: "io_uring", cache: undefined, ioThread: false };
  assert.deepEqual(partsOf({}).disks, usual);
  assert.deepEqual(partsOf({ block_device_aio: "threads" }).disks, { ...usual, aio: "threads" });
  assert.deepEqual(partsOf({ block_device_driver: "virtio-blk" }).disks, { ...usual, driver: "virtio-blk" });
  assert.deepEqual(partsOf({ enable_iothreads: true }).disks, { ...usual, ioThread: true });
  const direct = { block_device_cache_direct: true, block_device_cache_noflush: true };
  assert.equal(partsOf(direct).disks?.cache, undefined, "only if it is to be set at all");
  assert.deepEqual(partsOf({ ...direct, block_device_cache_set: true }).disks?.cache, {
    direct: true,
    noFlush: true,
  });
});

Deno.test("a machine without bridges has its SCSI controller from the start", () => {
  const scsiOf = (change: Record<string, unknown>) => {
    const config = testConfig();
    Object.assign(config.hypervisor, change);
    return machineParts({ spec: testSpec(), config, host: HOST }).scsi;
  };
  assert.equal(scsiOf({}), undefined);
  assert.deepEqual(scsiOf({ machine_type: "virt" }), { ioThread: false });
  assert.equal(scsiOf({ machine_type: "virt", block_device_driver: "virtio-blk" }), undefined);
});

Deno.test("memory for enclaves is asked for by a pod's annotation", () => {
  const bytes = (text: string) =>
    machineParts({
      spec: testSpec({ annotations: { "sgx.intel.com/epc": text } }),
      config: testConfig(),
      host: HOST,
    }).sgxBytes;
  assert.equal(bytes("64Mi"), 64 * 1024 * 1024);
  assert.equal(bytes("1Ki"), 1024);
  assert.equal(bytes("2Gi"), 2 * 1024 ** 3);
  for (const bad of ["", "64", "64M", "-1Mi", "1.5Gi", "9999999999999Ei"]) {
    assert.throws(
      () => bytes(bad),
      /^RpcError: annotation: sgx.intel.com\/epc = ".*": must be a number with one of Ki/,
    );
  }
});

Deno.test("a host that uses approved ciphers only has guests that do the same", () => {
  assert.deepEqual(hostKernelParams(HOST), []);
  assert.deepEqual(hostKernelParams({ ...HOST, hasFips: () => true }), ["fips=1"]);
});

Deno.test("a machine that cannot grow is booted as it stays", () => {
  const isStatic = (change: Record<string, unknown>) => {
    const config = testConfig();
    Object.assign(config.hypervisor, change);
    return planMachine(config, testSpec(), "x86_64").isStatic;
  };
  assert.equal(isStatic({}), false);
  assert.equal(isStatic({ machine_type: "microvm" }), true);
  assert.equal(isStatic({ confidential_guest: true }), true);
});
