import assert from "node:assert/strict";
import { SpecError } from "../oci/check.ts";
import { Code } from "../rpc/errors.ts";
import { tempDir } from "../sys/test_helpers.ts";
import { parseDan, readDan } from "./dan.ts";
import { guestInterface, guestNeighbours, guestRoutes } from "./guest_view.ts";

const TAP = { name: "eth0", device: { type: "host-tap", tap_name: "tap0" } };
const MAC = "02:00:00:00:00:01";

/** As the documentation of such files has it. */
const WHOLE = {
  netns: "/run/netns/x",
  devices: [{
    name: "eth0",
    guest_mac: MAC.toUpperCase(),
    device: { type: "vhost-user", path: "/tmp/test", queue_num: 2, queue_size: 1 },
    network_info: {
      interface: { ip_addresses: ["192.168.0.1/24", "fd00::1/64"], mtu: 1400, ntype: "tuntap", flags: 0x80 },
      routes: [
        { dest: "172.18.0.0/16", source: "192.168.0.1", gateway: "172.18.31.1", scope: 0, flags: 4 },
        { dest: "", gateway: "192.168.0.254", source: "", scope: 0 },
        { dest: "default", gateway: "fd00::2", mtu: 1300 },
      ],
      neighbors: [{ ip_address: "192.168.0.3/16", device: "", state: 0, flags: 0, hardware_addr: MAC }],
    },
  }],
};

Deno.test("a description has all settings of a link in the guest", () => {
  const { netns, devices } = parseDan(JSON.stringify(WHOLE));
  const [device] = devices;
  assert(device !== undefined);
  assert.equal(netns, "/run/netns/x");
  assert.deepEqual(device.backend, { kind: "vhost-user", path: "/tmp/test", queues: 2, queueSize: 256 });
  const { IPAddresses, ...link } = guestInterface(device.pod, "03/00");
  assert.deepEqual(link, {
    device: "eth0",
    name: "eth0",
    mtu: 1400n,
    hwAddr: MAC,
    devicePath: "03/00",
    type: "tuntap",
    rawFlags: 0x80,
  });
  assert.deepEqual(IPAddresses?.map(({ address, mask }) => `${address}/${mask}`), [
    "192.168.0.1/24",
    "fd00::1/64",
  ]);
  assert.deepEqual(
    guestRoutes([device.pod]).map(({ dest, gateway, source, flags, mtu, family }) =>
      [dest || "default", gateway, source, flags, mtu, family].join(" ")
    ),
    [
      "172.18.0.0/16 172.18.31.1 192.168.0.1 4 0 0",
      "default 192.168.0.254  0 0 0",
      "default fd00::2  0 1300 1",
    ],
  );
  const [neighbour] = guestNeighbours([device.pod]);
  assert.deepEqual(
    [neighbour?.toIPAddress?.address, neighbour?.lladdr, neighbour?.state, neighbour?.device],
    [
      "192.168.0.3",
      MAC,
      0x80,
      "eth0",
    ],
  );
});

Deno.test("what is left out has a meaning", () => {
  const address = "0000:3B:00.0";
  const { netns, devices } = parseDan(JSON.stringify({
    devices: [TAP, { name: "eth1", guest_mac: MAC, device: { type: "vfio", pci_device_id: address } }],
  }));
  assert.equal(netns, undefined);
  assert.deepEqual(devices.map(({ backend }) => backend), [
    { kind: "tap", name: "tap0", queues: 1 },
    { kind: "vfio", address: address.toLowerCase() },
  ]);
  assert.deepEqual(devices.map(({ pod }) => pod.link.address), ["", MAC]);
  assert.deepEqual(devices[0]?.pod.addresses, []);
  const sizes = [0, 256, 512, 4096].map((queue_size) => {
    const [device] =
      parseDan(JSON.stringify({ devices: [{ ...TAP, device: { ...TAP.device, queue_size } }] })).devices;
    return device?.backend.kind === "tap" && device.backend.queueSize;
  });
  assert.deepEqual(sizes, [undefined, 256, 512, 1024]);
});

const device = (change: object) => ({ devices: [{ ...TAP, ...change }] });
const info = (network_info: object) => device({ network_info });

Deno.test("what is wrong is named by its place", () => {
  const cases: [unknown, string][] = [
    [[], "must be an object: it is []"],
    [{}, "devices must be an array: it is missing"],
    [{ ...WHOLE, netns: "x" }, 'netns must be an absolute path: it is "x"'],
    [
      device({ name: "a/b" }),
      'devices[0].name must be the name of a link, of at most 15 characters: it is "a/b"',
    ],
    [
      device({ guest_mac: "02:00" }),
      'devices[0].guest_mac must be a hardware address such as "02:00:00:00:00:01": it is "02:00"',
    ],
    [
      device({ device: { type: "veth" } }),
      'devices[0].device.type must be one of "host-tap", "vhost-user", "vfio": it is "veth"',
    ],
    [device({ device: "x" }), 'devices[0].device must be an object: it is "x"'],
    [
      device({ device: { type: "host-tap", tap_name: "" } }),
      'devices[0].device.tap_name must be the name of a link, of at most 15 characters: it is ""',
    ],
    [
      device({ device: { ...TAP.device, queue_size: 300 } }),
      "devices[0].device.queue_size must be a power of two: it is 300",
    ],
    [
      device({ device: { type: "vhost-user", path: "x" } }),
      'devices[0].device.path must be an absolute path: it is "x"',
    ],
    [
      device({ device: { type: "vfio", pci_device_id: "3b:00.0" } }),
      'devices[0].device.pci_device_id must be the address of a PCI device such as "0000:3b:00.0": it is "3b:00.0"',
    ],
    [
      device({ device: { type: "vfio", pci_device_id: "0000:3b:00.0" } }),
      "devices[0].guest_mac must be set, as the guest finds the device by it",
    ],
    [
      info({ interface: { ip_addresses: ["10.0.0.2"] } }),
      "devices[0].network_info.interface.ip_addresses[0] must be an IP address with the length of its network, " +
      'such as "10.0.0.2/24": it is "10.0.0.2"',
    ],
    [
      info({ interface: { mtu: -1 } }),
      "devices[0].network_info.interface.mtu must be a whole number from 0 to 65535: it is -1",
    ],
    [
      info({ routes: [{ dest: "here" }] }),
      'devices[0].network_info.routes[0].dest must be an IP address: it is "here"',
    ],
    [
      info({ neighbors: [{}] }),
      "devices[0].network_info.neighbors[0].ip_address must be a string: it is missing",
    ],
    [{ devices: [TAP, TAP] }, 'devices[1].name must be another one than those before: it is "eth0"'],
    [
      { devices: [{ ...TAP, guest_mac: MAC }, { ...TAP, name: "eth1", guest_mac: MAC }] },
      `devices[1].guest_mac must be another one than those before: it is "${MAC}"`,
    ],
  ];
  for (const [value, message] of cases) {
    assert.throws(() => parseDan(JSON.stringify(value)), (error) => {
      assert(error instanceof SpecError);
      assert.equal(error.message, message);
      return true;
    });
  }
});

Deno.test("a file is the sandbox's own; one that is not there is no mistake", async () => {
  using folder = tempDir();
  const path = `${folder.path}/s1.json`;
  assert.equal(await readDan("", "s1"), undefined);
  assert.equal(await readDan(folder.path, "s1"), undefined);
  Deno.writeTextFileSync(path, JSON.stringify(WHOLE));
  assert.equal((await readDan(folder.path, "s1"))?.devices.length, 1);
  assert.equal(await readDan(folder.path, "s2"), undefined);
  const refusal = (why: RegExp) => ({
    code: Code.InvalidArgument,
    message: new RegExp(`^description of network devices "${path}": ${why.source}`),
  });
  Deno.writeTextFileSync(path, "{");
  await assert.rejects(readDan(folder.path, "s1"), refusal(/is not JSON: /));
  Deno.writeTextFileSync(path, "{}");
  await assert.rejects(readDan(folder.path, "s1"), refusal(/devices must be an array: it is missing$/));
  Deno.removeSync(path);
  Deno.mkdirSync(path);
  await assert.rejects(readDan(folder.path, "s1"), refusal(/cannot be read: /));
});
