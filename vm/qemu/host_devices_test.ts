import assert from "node:assert/strict";
import { RLIM_INFINITY } from "../../sys/rlimit.ts";
import type { HostDevice, VmConfig } from "../vmm.ts";
import { DevicePorts, hostDeviceArguments, memoryLock, portArguments } from "./host_devices.ts";
import { BridgeSlots } from "./hotplug/slots.ts";
import { createQemu, qemu } from "./qemu.ts";
import { withTinyVm } from "./testing/config.ts";

const MIB = 1_048_576;

function hostDevice(address: string, change: Partial<HostDevice> = {}): HostDevice {
  return { address, iommufd: false, memory: { prefetchable: 0, other: 65_536 }, ...change };
}

const NIC = hostDevice("0000:05:10.0");
const GPU = hostDevice("0000:3b:00.0", { memory: { prefetchable: 24_576 * MIB, other: 16 * MIB } });
const VGPU = hostDevice("0000:00:02.0", { mediated: "/sys/bus/mdev/devices/1-2" });
const BY_NODE = hostDevice("0000:3c:00.0", { iommufd: true });

const nic = (id: string, device: HostDevice) =>
  ({ id, mac: "02:00:00:00:00:01", backend: { kind: "host-device", device } }) as const;

/** Of a configuration, what devices of the host need. */
const config = (parts: Partial<VmConfig>) => parts as VmConfig;

Deno.test("devices of the host stand in ports, links first, with what opens them", () => {
  const ports = { kind: "root", count: 1 } as const;
  const parts = config({ ports, nics: [nic("net0", NIC)], hostDevices: [VGPU, BY_NODE] });
  assert.deepEqual(hostDeviceArguments(parts), [
    ...["-object", "iommufd,id=iommufd0"],
    ...["-device", "vfio-pci,id=virtio-net0,host=0000:05:10.0,bus=rp0,addr=00"],
    ...["-device", "vfio-pci,id=host-0,sysfsdev=/sys/bus/mdev/devices/1-2,bus=rp1,addr=00"],
    ...["-device", "vfio-pci,id=host-1,host=0000:3c:00.0,iommufd=iommufd0,bus=rp2,addr=00"],
  ]);
  assert.equal(portArguments(parts).length, 6, "as many ports as devices, if fewer are configured");
  assert.deepEqual(hostDeviceArguments(config({ ports })), []);
  const bridge = config({ ports: { kind: "bridge", count: 0 }, bridges: 1, hostDevices: [NIC, GPU] });
  assert.deepEqual(portArguments(bridge), []);
  assert.match(hostDeviceArguments(bridge).join(), /0000:05:10\.0,bus=pci-bridge-0,addr=01.*addr=02$/);
});

Deno.test("ports have room for the memory of the devices that are known to come", () => {
  const reserve = (kind: "root" | "switch", ...hostDevices: HostDevice[]) =>
    /pref64-reserve=(\d+)M,mem-reserve=(\d+)M/.exec(
      portArguments(config({ ports: { kind, count: 2 }, hostDevices })).join(),
    )?.slice(1).map(Number);
  assert.deepEqual(reserve("root"), [2048, 4]);
  assert.deepEqual(reserve("root", NIC, GPU), [32_768, 16]);
  assert.deepEqual(reserve("switch", GPU, GPU), [65_536, 32], "all of a switch stand behind one port");
  const later = (kind: "root" | "switch", ...hostDevices: HostDevice[]) =>
    /pref64-reserve=\d+M,mem-reserve=\d+M/.exec(
      portArguments(config({ ports: { kind, count: 2, room: GPU.memory }, hostDevices })).join(),
    )?.[0];
  assert.equal(later("root", NIC), "pref64-reserve=32768M,mem-reserve=16M");
  assert.equal(later("root", NIC, NIC), "pref64-reserve=2048M,mem-reserve=4M", "nothing else can come");
  assert.equal(later("switch"), "pref64-reserve=65536M,mem-reserve=32M");
});

Deno.test("ports are given in order, and again when they are free", () => {
  const ports = new DevicePorts(config({ ports: { kind: "switch", count: 2 } }), new BridgeSlots(0));
  const [first, second] = [ports.take(), ports.take()];
  assert.deepEqual([first, second].map(({ bus, address }) => `${bus} ${address}`), ["swdp0 00", "swdp1 00"]);
  assert.throws(() => ports.take(), {
    message: "the VM has no port for another device of the host: all 2 are taken",
  });
  first?.[Symbol.dispose]();
  assert.equal(ports.take().bus, "swdp0");
  assert.throws(() => new DevicePorts(config({}), new BridgeSlots(1)).take(), {
    message: "the VM has no port for a device of the host",
  });
  const many = config({ ports: { kind: "root", count: 1 }, hostDevices: Array(17).fill(NIC) });
  assert.throws(() => portArguments(many), {
    message: "a VM can have at most 16 devices of the host at boot: 17 are asked for",
  });
});

Deno.test("a QEMU that is not root's may lock memory for devices of the host", () => {
  const user = { uid: 1, gid: 1, groups: [] };
  const ports = { kind: "root", count: 1 } as const;
  assert.deepEqual(memoryLock(config({ ports, user })), {
    MEMLOCK: { soft: RLIM_INFINITY, hard: RLIM_INFINITY },
  });
  assert.equal(memoryLock(config({ ports })), undefined, "root may in any case");
  assert.equal(memoryLock(config({ user })), undefined);
});

/** As a device of the host, but one that QEMU makes itself. */
const emulating = createQemu({ describeDevice: () => ({ driver: "e1000e", romfile: "" }) });

Deno.test("QEMU tells where devices are, those of the boot and those that come, by every kind of port", async (t) => {
  const cases = {
    root: [/^0[0-9a-f]\/00$/, 3],
    switch: [/^0[0-9a-f]\/00\/0[0-2]\/00$/, 3],
    bridge: [/^02\/0[1-3]$/, 30],
  } as const;
  for (const [kind, [pattern, room]] of Object.entries(cases)) {
    await t.step(kind, () =>
      withTinyVm(async ({ config }) => {
        const ports = { kind: kind as keyof typeof cases, count: 3 };
        const parts = { bridges: 1, memoryMiB: 128, ports, hostDevices: [GPU], nics: [nic("net0", NIC)] };
        await using vm = await emulating.start({ ...config, ...parts });
        const plugs = vm.hostDevices;
        assert(plugs !== undefined);
        const atBoot = await plugs.pathOf(GPU);
        await assert.rejects(plugs.pathOf(NIC), /was not booted with the device 0000:05:10.0 of the host/);
        const later = await plugs.add(BY_GROUP);
        assert.match(await vm.nics?.pathOf("net0") ?? "", pattern);
        await assert.rejects(vm.nics?.pathOf("net9") ?? Promise.resolve(), /no network device "net9"/);
        for (const path of [atBoot, later.path]) assert.match(path, pattern);
        assert.notEqual(atBoot, later.path);
        if (room === 3) {
          await assert.rejects(plugs.add(VGPU), /no port for another device of the host: all 3 are taken/);
          await assert.rejects(vm.nics?.add(nic("net1", NIC)) ?? Promise.resolve(), /all 3 are taken/);
        }
      }));
  }
});

const BY_GROUP = hostDevice("0000:3c:00.0");

Deno.test("a network device of the host is plugged into a port", () =>
  withTinyVm(async ({ config }) => {
    const ports = { kind: "root", count: 1 } as const;
    await using vm = await emulating.start({ ...config, ports, memoryMiB: 128 });
    assert.match(await vm.nics?.add(nic("net0", NIC)) ?? "", /^0[0-9a-f]\/00$/);
  }));

Deno.test("QEMU knows the arguments, and says what it cannot have; nothing of it stays", async (t) => {
  await t.step("while it runs", () =>
    withTinyVm(async ({ config }) => {
      await using vm = await qemu.start({ ...config, ports: { kind: "root", count: 1 }, memoryMiB: 128 });
      const add = (device: HostDevice) => vm.hostDevices?.add(device) ?? Promise.resolve();
      for (let round = 0; round < 2; round++) {
        await assert.rejects(
          add(hostDevice("0000:ff:1f.7")),
          /"device_add": vfio .*0000:ff:1f.7: no such host/,
        );
        await assert.rejects(
          add({ ...VGPU, mediated: "/sys/none" }),
          /"device_add": vfio \/sys\/none: no such/,
        );
      }
    }));
  await t.step("at boot", () =>
    withTinyVm(async ({ config }) => {
      const parts = { ports: { kind: "root", count: 1 }, hostDevices: [hostDevice("0000:ff:1f.7")] } as const;
      await assert.rejects(
        qemu.start({ ...config, ...parts }),
        /cannot start the VM with accelerator "tcg": QEMU .*0000:ff:1f.7: no such host device/,
      );
    }));
});

Deno.test("a device by its own node takes a QEMU that can open it", () =>
  withTinyVm(async ({ config }) => {
    const ports = { kind: "root", count: 1 } as const;
    await using vm = await qemu.start({ ...config, ports, memoryMiB: 128 });
    const gone = { ...BY_NODE, address: "0000:ff:1f.7" };
    // this QEMU may be older or newer than what it takes
    const answer = /which came with its version 8\.2|no such host device/;
    await assert.rejects(vm.hostDevices?.add(gone) ?? Promise.resolve(), answer);
    await assert.rejects(qemu.start({ ...config, ports, hostDevices: [gone] }), answer);
  }));
