import assert from "node:assert/strict";
import { create, type Init } from "../../rpc/message.ts";
import { type Storage, StorageSchema } from "../../rpc/gen/agent_pb.ts";
import { FSGroupChangePolicy } from "../../rpc/gen/types_pb.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { MNT, readMountinfo, umount } from "../../sys/mount.ts";
import { run } from "../../tools/process.ts";
import { createLogger } from "../log.ts";
import { updateEphemeralMounts } from "./ephemeral_update.ts";
import { Storages } from "./storages.ts";

const storage = (init: Init<Storage>): Storage => create<Storage>(StorageSchema, init);
const quiet = createLogger("critical");

/** A folder of its own with a registry; mounts that a failed test leaves are undone. */
function base(): { path: string; storages: Storages } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "kata-storage-" });
  return {
    path,
    storages: new Storages(path, { need() {} }, quiet),
    [Symbol.dispose]() {
      for (const mount of mountsBelow(path)) umount(mount.mountPoint, MNT.DETACH);
      Deno.removeSync(path, { recursive: true });
    },
  };
}

function mountsBelow(path: string) {
  return readMountinfo().filter((mount) => mount.mountPoint.startsWith(path + "/")).reverse();
}

function refusal(code: number, message: RegExp) {
  return (error: unknown) => error instanceof RpcError && error.code === code && message.test(error.message);
}

Deno.test("a tmpfs is mounted with its options and its group, and is gone with its last user", () => {
  using test = base();
  const shm = storage({
    driver: "ephemeral",
    fstype: "tmpfs",
    source: "shm",
    options: ["noexec", "nosuid", "nodev", "mode=1770", "size=65536k", "fsgid=77"],
    mountPoint: `${test.path}/sandbox/shm`,
  });
  const first = test.storages.acquire([shm], undefined);
  const second = test.storages.acquire([shm], "container");
  const [mount, ...rest] = mountsBelow(test.path);
  assert.equal(rest.length, 0);
  assert.equal(mount?.fstype, "tmpfs");
  for (const option of ["noexec", "nosuid", "nodev"]) assert.ok(mount.options.includes(option), option);
  assert.ok(mount.superOptions.includes("size=65536k"));
  const stat = Deno.statSync(shm.mountPoint);
  assert.equal(stat.gid, 77);
  assert.equal((stat.mode ?? 0) & 0o7777, 0o3770);
  first.dispose();
  assert.equal(mountsBelow(test.path).length, 1);
  second.dispose();
  assert.equal(mountsBelow(test.path).length, 0);
  assert.throws(() => Deno.statSync(shm.mountPoint), Deno.errors.NotFound);
  assert.equal(test.storages.references.size, 0);
});

Deno.test("the size of a tmpfs can be changed while it is in use", () => {
  using test = base();
  const mountPoint = `${test.path}/memory`;
  const disk = storage({ driver: "ephemeral", fstype: "tmpfs", options: ["size=1M"], mountPoint });
  using _ = test.storages.acquire([disk], "c1");
  Deno.writeTextFileSync(`${mountPoint}/file`, "kept");
  updateEphemeralMounts([storage({ ...disk, options: ["remount", "size=2M", "fsgid=5"] })], test.path);
  assert.equal(Deno.readTextFileSync(`${mountPoint}/file`), "kept");
  assert.ok(mountsBelow(test.path)[0]?.superOptions.includes("size=2048k"));
  assert.equal(mountsBelow(test.path).length, 1);
  assert.throws(
    () => updateEphemeralMounts([storage({ driver: "local", mountPoint })], test.path),
    refusal(Code.InvalidArgument, /only ephemeral storages/),
  );
});

Deno.test("a local storage is a folder with mode and group, and stays when something is in it", () => {
  using test = base();
  const mountPoint = `${test.path}/sandbox/local/volume`;
  const local = storage({
    driver: "local",
    source: "local",
    fstype: "local",
    options: ["mode=0777", "fsgid=9"],
    mountPoint,
  });
  test.storages.acquire([local], "c1").dispose();
  assert.throws(() => Deno.statSync(mountPoint), Deno.errors.NotFound);
  const used = test.storages.acquire([local], "c1");
  const stat = Deno.statSync(mountPoint);
  assert.deepEqual([stat.gid, (stat.mode ?? 0) & 0o7777], [9, 0o2777]);
  Deno.writeTextFileSync(`${mountPoint}/file`, "");
  Deno.chmodSync(mountPoint, 0o700);
  used.dispose();
  assert.ok(Deno.statSync(`${mountPoint}/file`).isFile);
  using _again = test.storages.acquire([local], "c1");
  assert.equal((Deno.statSync(mountPoint).mode ?? 0) & 0o7777, 0o700, "it is the containers'");
});

Deno.test("folders and files are bound, read-only from the first moment", () => {
  using test = base();
  Deno.mkdirSync(`${test.path}/source/below`, { recursive: true });
  Deno.writeTextFileSync(`${test.path}/source/file`, "text");
  const bind = (from: string, to: string, options: string[]) =>
    storage({
      driver: "bind",
      fstype: "bind",
      source: `${test.path}/${from}`,
      mountPoint: `${test.path}/${to}`,
      options,
    });
  const bound = test.storages.acquire([
    bind("source", "a/folder", ["rbind", "ro"]),
    bind("source/file", "a/file", ["bind"]),
  ], "c1");
  assert.equal(Deno.readTextFileSync(`${test.path}/a/folder/file`), "text");
  assert.equal(Deno.readTextFileSync(`${test.path}/a/file`), "text");
  assert.throws(() => Deno.writeTextFileSync(`${test.path}/a/folder/new`, ""), /Read-only file system/);
  Deno.writeTextFileSync(`${test.path}/a/file`, "changed");
  assert.equal(Deno.readTextFileSync(`${test.path}/source/file`), "changed");
  bound.dispose();
  assert.equal(mountsBelow(test.path).length, 0);
  assert.deepEqual([...Deno.readDirSync(`${test.path}/a`)], []);
});

Deno.test("a writable overlay gets folders of the agent for what is written", () => {
  using test = base();
  for (const name of ["upper-layer", "lower-layer"]) {
    Deno.mkdirSync(`${test.path}/layers/${name}`, { recursive: true });
  }
  Deno.writeTextFileSync(`${test.path}/layers/lower-layer/file`, "lower");
  // An overlay cannot have another one below it as its upper layer: the agent's folder is memory in a guest.
  const memory = storage({ driver: "ephemeral", fstype: "tmpfs", mountPoint: `${test.path}/c1` });
  const overlay = storage({
    driver: "overlayfs",
    fstype: "overlay",
    source: "none",
    options: [
      "io.katacontainers.fs-opt.overlay-rw",
      "io.katacontainers.fs-opt.other",
      `lowerdir=${test.path}/layers/upper-layer:${test.path}/layers/lower-layer`,
    ],
    driverOptions: [`io.katacontainers.volume.overlayfs.create_directory=${test.path}/c1/made`],
    mountPoint: `${test.path}/c1/rootfs`,
  });
  using _ = test.storages.acquire([memory, overlay], "c1");
  Deno.writeTextFileSync(`${test.path}/c1/rootfs/file`, "written");
  assert.equal(Deno.readTextFileSync(`${test.path}/c1/upper/file`), "written");
  assert.equal(Deno.readTextFileSync(`${test.path}/layers/lower-layer/file`), "lower");
  assert.ok(Deno.statSync(`${test.path}/c1/made`).isDirectory);
  assert.throws(
    () => test.storages.acquire([storage({ ...overlay, mountPoint: `${test.path}/other` })], undefined),
    refusal(Code.InvalidArgument, /writable overlay needs a container/),
  );
});

Deno.test("when one storage fails, those before it in the request are undone and others stay", () => {
  using test = base();
  const tmpfs = (name: string) =>
    storage({ driver: "ephemeral", fstype: "tmpfs", mountPoint: `${test.path}/${name}` });
  using _ = test.storages.acquire([tmpfs("stays")], "c1");
  const broken = storage({
    driver: "ephemeral",
    fstype: "tmpfs",
    options: ["size=nonsense"],
    mountPoint: `${test.path}/x/y`,
  });
  assert.throws(() => test.storages.acquire([tmpfs("stays"), tmpfs("goes"), broken], "c2"), /EINVAL/);
  assert.deepEqual(mountsBelow(test.path).map((mount) => mount.mountPoint), [`${test.path}/stays`]);
  assert.deepEqual([...test.storages.references], [["stays", 1]]);
  assert.throws(() => Deno.statSync(`${test.path}/goes`), Deno.errors.NotFound);
});

Deno.test("the group of a volume is applied to everything in it, but not through links", () => {
  using test = base();
  const mountPoint = `${test.path}/volume`;
  const volume = (policy: FSGroupChangePolicy) =>
    storage({ driver: "local", mountPoint, fsGroup: { groupId: 4242, groupChangePolicy: policy } });
  const outside = `${test.path}/outside`;
  Deno.writeTextFileSync(outside, "", { mode: 0o600 });
  Deno.mkdirSync(`${mountPoint}/folder`, { recursive: true, mode: 0o700 });
  Deno.writeTextFileSync(`${mountPoint}/folder/file`, "");
  Deno.chmodSync(`${mountPoint}/folder/file`, 0o600);
  Deno.symlinkSync(outside, `${mountPoint}/link`);
  const state = (path: string) => {
    const stat = Deno.statSync(path);
    return [stat.gid, (stat.mode ?? 0) & 0o7777];
  };
  test.storages.acquire([volume(FSGroupChangePolicy.Always)], "c1").dispose();
  assert.deepEqual(state(mountPoint), [4242, 0o2770]);
  assert.deepEqual(state(`${mountPoint}/folder`), [4242, 0o2770]);
  assert.deepEqual(state(`${mountPoint}/folder/file`), [4242, 0o660]);
  assert.deepEqual(state(outside), [Deno.statSync(test.path).gid, 0o600]);
  Deno.chmodSync(`${mountPoint}/folder/file`, 0o600);
  test.storages.acquire([volume(FSGroupChangePolicy.OnRootMismatch)], "c1").dispose();
  assert.deepEqual(state(`${mountPoint}/folder/file`), [4242, 0o600]);
});

Deno.test("mount points elsewhere, and ways through links, are refused", () => {
  using test = base();
  const local = (mountPoint: string) => storage({ driver: "local", mountPoint });
  const elsewhere = [
    "",
    "/",
    "/etc/x",
    "relative",
    test.path,
    `${test.path}/../x`,
    `${test.path}/a/./b`,
    `${test.path}x/y`,
  ];
  for (const path of elsewhere) {
    const message = path === test.path ? /cannot be a mount point/ : /must be a path below/;
    assert.throws(
      () => test.storages.acquire([local(path)], "c"),
      refusal(Code.InvalidArgument, message),
      path,
    );
  }
  Deno.symlinkSync("/etc", `${test.path}/link`);
  assert.throws(() => test.storages.acquire([local(`${test.path}/link/kata-test`)], "c"), /ELOOP|ENOTDIR/);
  assert.throws(() => Deno.statSync("/etc/kata-test"), Deno.errors.NotFound);
  const bound = storage({ driver: "bind", source: `${test.path}/link`, mountPoint: `${test.path}/to` });
  assert.throws(
    () => test.storages.acquire([bound], "c"),
    refusal(Code.InvalidArgument, /cannot bind .*: ELOOP/),
  );
});

Deno.test("drivers that are not there are refused by name", () => {
  using test = base();
  const mountPoint = `${test.path}/x`;
  const acquire = (driver: string) => () => test.storages.acquire([storage({ driver, mountPoint })], "c");
  assert.throws(
    acquire("image_guest_pull"),
    refusal(Code.Unimplemented, /"image_guest_pull" .* is not supported/),
  );
  assert.throws(
    acquire("watchable-bind"),
    refusal(Code.InvalidArgument, /"watchable-bind" .* is for containers/),
  );
  assert.throws(
    acquire(""),
    refusal(Code.InvalidArgument, /driver "" .* is unknown: must be one of 9p, bind,/),
  );
  assert.throws(acquire("toString"), refusal(Code.InvalidArgument, /"toString"/));
  const share = storage({ driver: "9p", mountPoint });
  assert.throws(() => test.storages.acquire([share], "c"), refusal(Code.InvalidArgument, /needs a source/));
});

/** A loop device of this machine, with an ext4 on it. */
async function loopDisk(folder: string): Promise<{ node: string } & Disposable> {
  const image = `${folder}/disk.img`;
  Deno.writeFileSync(image, new Uint8Array());
  Deno.truncateSync(image, 8 * 1_048_576);
  await run(["mkfs.ext4", "-q", image]);
  const node = (await run(["losetup", "--find", "--show", image])).trim();
  return {
    node,
    [Symbol.dispose]: () => void new Deno.Command("losetup", { args: ["--detach", node] }).outputSync(),
  };
}

Deno.test("a disk's filesystem is mounted, read-only if it is to be, and given to its group", async () => {
  using test = base();
  using disk = await loopDisk(test.path);
  const wanted = (options: string[]) =>
    storage({ driver: "blk", source: disk.node, fstype: "ext4", mountPoint: `${test.path}/volume`, options });
  {
    using taken = test.storages.acquire([wanted(["noatime", "fsgid=44"])], "c");
    const [mount] = mountsBelow(test.path);
    assert.equal(mount?.source, disk.node);
    assert(mount?.options.includes("noatime"));
    assert.equal(Deno.statSync(`${test.path}/volume`).gid, 44);
    taken.dispose();
  }
  using taken = test.storages.acquire([wanted(["ro"])], "c");
  assert.throws(() => Deno.writeTextFileSync(`${test.path}/volume/x`, ""), /EROFS|Read-only/);
  taken.dispose();
});

Deno.test("a disk that cannot be mounted is refused by what is wrong with it", () => {
  using test = base();
  const disk = (init: Init<Storage>) => () =>
    test.storages.acquire([storage({ driver: "scsi", mountPoint: `${test.path}/x`, ...init })], "c");
  assert.throws(
    disk({ source: "/dev/null", fstype: "" }),
    refusal(Code.InvalidArgument, /the type of its filesystem/),
  );
  assert.throws(
    disk({ source: "/etc", fstype: "ext4" }),
    refusal(Code.InvalidArgument, /a disk below \/dev/),
  );
  assert.throws(disk({ source: "/dev/null", fstype: "ext4" }), /ENOTBLK/);
  assert.deepEqual(mountsBelow(test.path), []);
});
