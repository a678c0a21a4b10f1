import assert from "node:assert/strict";
import { TestNamespace } from "../../../sys/test_helpers.ts";
import { openTap } from "../../../sys/tun.ts";
import type { Nic } from "../../vmm.ts";
import { qemu } from "../qemu.ts";
import { withTinyVm } from "../testing/config.ts";
import { BridgeSlots } from "./slots.ts";

/** A device whose tap is in a namespace; our copies of its descriptors end with the stack. */
function tapNic(space: TestNamespace, taken: DisposableStack, id: string, queues = 1): Nic {
  const taps = openTap({ name: id, queues, namespace: space.fd, exclusive: true });
  for (const tap of taps) taken.use(tap);
  const mac = "02:00:00:00:00:01";
  return { id, mac, backend: { kind: "tap", fds: taps.map(({ fd }) => fd), vhostFds: [] } };
}

Deno.test("QEMU is given network devices with the descriptors of their taps", () =>
  withTinyVm(async ({ config }) => {
    using space = new TestNamespace();
    const names = async () => (await space.json("ip link")).map(({ ifname }) => ifname);
    using taken = new DisposableStack();
    await using vm = await qemu.start({ ...config, bridges: 1 });
    assert.equal(await vm.nics?.add(tapNic(space, taken, "net0")), "02/01");
    assert.equal(await vm.nics?.add(tapNic(space, taken, "net1", 2)), "02/02");
    taken.dispose();
    assert.deepEqual(await names(), ["lo", "net0", "net1"]);
    await vm.stop();
    assert.deepEqual(await names(), ["lo"]);
  }));

Deno.test("what QEMU refuses leaves nothing behind, and its place can be used", () =>
  withTinyVm(async ({ config }) => {
    using space = new TestNamespace();
    using taken = new DisposableStack();
    await using vm = await qemu.start({ ...config, bridges: 1 });
    const wrong = { ...tapNic(space, taken, "net0"), mac: "no address" };
    for (let round = 0; round < 2; round++) {
      await assert.rejects(
        vm.nics?.add(wrong) ?? Promise.resolve(),
        /QEMU cannot do "device_add": .*no address/,
      );
    }
    const bad: Nic = { ...wrong, id: "net1", backend: { kind: "tap", fds: [0], vhostFds: [] } };
    await assert.rejects(vm.nics?.add(bad) ?? Promise.resolve(), /QEMU cannot do "netdev_add"/);
    const gone: Nic = {
      ...wrong,
      id: "net2",
      backend: { kind: "vhost-user", socketPath: "/run/nobody.sock" },
    };
    await assert.rejects(
      vm.nics?.add(gone) ?? Promise.resolve(),
      /QEMU cannot do "chardev-add": .*\/run\/nobody/,
    );
    assert.equal(await vm.nics?.add({ ...wrong, mac: "02:00:00:00:00:02" }), "02/01");
    await assert.rejects(vm.nics?.remove("net7") ?? Promise.resolve(), {
      message: 'the VM has no network device "net7"',
    });
  }));

Deno.test("places are given in order, and again when they are free", () => {
  const slots = new BridgeSlots(2);
  const places = Array.from({ length: 60 }, () => slots.take());
  assert.deepEqual(places.map(({ path }) => path).filter((_, at) => [0, 29, 30, 59].includes(at)), [
    "02/01",
    "02/1e",
    "03/01",
    "03/1e",
  ]);
  assert.throws(() => slots.take(), {
    message: "the VM has no place for another device: all 60 behind its bridges are taken",
  });
  places[40]?.[Symbol.dispose]();
  assert.deepEqual([slots.take()].map(({ bus, address }) => `${bus} ${address}`), ["pci-bridge-1 0b"]);
  assert.throws(() => new BridgeSlots(0).take(), {
    message: "the VM has no place for another device: it has no bridge",
  });
});
