import assert from "node:assert/strict";
import { AT } from "../../sys/fd.ts";
import { majorOf, minorOf, statAt } from "../../sys/file.ts";
import { listenUnix } from "../../sys/socket.ts";
import { run } from "../../tools/process.ts";
import { DISK_HOST, type DiskHost, planDevices } from "./devices.ts";

const HOST: DiskHost = {
  nodeOf: (major, minor) => major === 8 ? `/dev/sd${"abc"[minor / 16]}` : undefined,
  useOf: (_, minor) => minor === 0 ? 'the host has mounted it on "/"' : undefined,
  isReadOnly: (_, minor) => minor === 32,
  socketOf: (_, minor, folder) => minor === 1 ? `${folder}/block/sockets/one` : undefined,
};
const USE = { useDisks: true };
const block = (path: string, major: number, minor: number) => ({ path, type: "b", major, minor });

Deno.test("disks that the host does not use are plugged in, other nodes are the guest's to make", () => {
  const fuse = { path: "/dev/fuse", type: "c", major: 10, minor: 229 };
  const data = block("/dev/data", 8, 16);
  const backup = block("/dev/backup", 8, 32);
  const plan = planDevices([fuse, data, backup], USE, HOST);
  assert.deepEqual(plan.nodes, [fuse, data, backup]);
  assert.deepEqual(plan.disks, [
    { containerPath: "/dev/data", disk: { path: "/dev/sdb", isDevice: true, readonly: false } },
    { containerPath: "/dev/backup", disk: { path: "/dev/sdc", isDevice: true, readonly: true } },
  ]);
  assert.deepEqual(plan.dropped, []);
});

Deno.test("a disk that the host uses is not in the container, and the reason is logged", () => {
  const devices = [block("/dev/sda", 8, 0), block("/dev/fd0", 2, 0), block("/dev/x", 99, 1)];
  const plan = planDevices(devices, USE, HOST);
  assert.deepEqual([plan.nodes, plan.disks], [[], []]);
  assert.deepEqual(plan.dropped, [
    'device "/dev/sda" is not in the container: the host has mounted it on "/"',
    'device "/dev/fd0" is not in the container: it is a removable medium',
    'device "/dev/x" is not in the container: there is no disk 99:1',
  ]);
  assert.match(
    planDevices([block("/dev/b", 8, 16)], { useDisks: false }, HOST).dropped[0] ?? "",
    /disable_block_device_use is set/,
  );
});

Deno.test("a disk that another process serves is reached at its socket, where such disks are used", () => {
  const devices = [block("/dev/one", 241, 1), block("/dev/two", 241, 2), block("/dev/three", 242, 1)];
  const servedDisks = { folder: "/store", reconnectS: 5 };
  const plan = planDevices(devices, { useDisks: true, servedDisks }, HOST);
  const disk = {
    path: "/store/block/sockets/one",
    isDevice: false,
    readonly: false,
    served: { reconnectS: 5 },
  };
  assert.deepEqual(plan.disks, [{ containerPath: "/dev/one", disk }]);
  assert.deepEqual(plan.dropped, [
    'device "/dev/two" is not in the container: "/store/block/devices" has no node 241:2 with a socket',
    'device "/dev/three" is not in the container: controllers that other processes serve are not plugged in',
  ]);
  assert.match(planDevices(devices, USE, HOST).dropped[0] ?? "", /there is no disk 241:1/);
});

Deno.test("nodes of a store are recognised by their numbers, and need a socket of their name", async () => {
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "kata-store-" });
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  for (const name of ["devices", "sockets"]) await Deno.mkdir(`${folder}/block/${name}`, { recursive: true });
  for (const minor of [0, 1]) {
    await run(["mknod", `${folder}/block/devices/disk${minor}`, "b", "241", String(minor)]);
  }
  assert.equal(DISK_HOST.socketOf(241, 1, folder), undefined);
  const socket = `${folder}/block/sockets/disk1`;
  cleanup.use(listenUnix(socket));
  assert.equal(DISK_HOST.socketOf(241, 1, folder), socket);
  assert.equal(DISK_HOST.socketOf(241, 2, folder), undefined);
});

Deno.test("a disk of this machine is known by its numbers, and is in use while it is mounted", async () => {
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "kata-disk-" });
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const image = `${folder}/disk.img`;
  await Deno.writeFile(image, new Uint8Array(2 * 1_048_576));
  await run(["mkfs.ext4", "-q", image]);
  const node = (await run(["losetup", "--find", "--show", "--read-only", image])).trim();
  cleanup.defer(() => run(["losetup", "--detach", node]).then(() => {}));
  const { rdev } = statAt(AT.FDCWD, node);
  const [major, minor] = [majorOf(rdev), minorOf(rdev)];
  assert.equal(DISK_HOST.nodeOf(major, minor), node);
  assert.equal(DISK_HOST.isReadOnly(major, minor), true);
  assert.equal(DISK_HOST.useOf(major, minor), undefined);
  await Deno.mkdir(`${folder}/mounted`);
  await run(["mount", "-o", "ro", node, `${folder}/mounted`]);
  cleanup.defer(() => run(["umount", `${folder}/mounted`]).then(() => {}));
  assert.equal(DISK_HOST.useOf(major, minor), `the host has mounted it on "${folder}/mounted"`);
  assert.equal(DISK_HOST.nodeOf(4095, 1), undefined);
});
