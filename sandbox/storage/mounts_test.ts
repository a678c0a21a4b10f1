import assert from "node:assert/strict";
import type { DirectVolume } from "../../fs/direct_volume.ts";
import type { HugepageLimit, Mount } from "../../oci/spec.ts";
import { FSGroupChangePolicy } from "../../rpc/gen/types_pb.ts";
import { FS_MAGIC } from "../../sys/statfs.ts";
import type { FileKind, FileSystemFacts, MountHost } from "./mount_host.ts";
import { type MountContext, type MountPlan, parseSize, planMounts, shmSize } from "./mounts.ts";

const KINDS: Record<string, FileKind> = {
  "/data": "folder",
  "/etc/hosts": "file",
  "/bundle/relative": "file",
  "/dev/sda": "block",
  "/dev/null": "other",
  "/dev/plain": "file",
  "/disk.img": "file",
  "/plain.img": "file",
};
const MIB = 1_048_576;
const EMPTY_DIRS = "/var/lib/kubelet/pods/x/volumes/kubernetes.io~empty-dir";
const PARTS = "/var/lib/kubelet/pods/x/volume-subpaths";
const FILE_SYSTEMS: Record<string, FileSystemFacts> = {
  [`${EMPTY_DIRS}/cache`]: { magic: FS_MAGIC.tmpfs, bytes: 64 * MIB, blockBytes: 4096 },
  [`${EMPTY_DIRS}/huge`]: { magic: FS_MAGIC.hugetlbfs, bytes: 0, blockBytes: 2 * MIB },
  [`${EMPTY_DIRS}/disk`]: { magic: FS_MAGIC.ext4, bytes: 999, blockBytes: 4096 },
};
const VOLUMES: Record<string, DirectVolume> = {
  "/pvc": {
    volumeType: "block",
    device: "/dev/sda",
    fstype: "xfs",
    metadata: { fsGroup: "1000", fsGroupChangePolicy: "OnRootMismatch" },
    options: ["noatime"],
  },
  "/odd": { volumeType: "spdk", device: "/dev/sda", fstype: "ext4", metadata: {}, options: [] },
  "/gone": { volumeType: "block", device: "/dev/gone", fstype: "ext4", metadata: {}, options: [] },
  "/raw": { volumeType: "block", device: "/dev/sda", fstype: "", metadata: {}, options: [] },
};

const HOST: MountHost = {
  kindOf: (path) => path.includes("/kubernetes.io~") || path.startsWith(PARTS) ? "folder" : KINDS[path],
  volumeAt: (path) => VOLUMES[path],
  fileSystemOf: (path) => FILE_SYSTEMS[path],
  ownerOf: (path) => path.endsWith("/huge") ? { gid: 0, mode: 0o755 } : { gid: 77, mode: 0o777 },
  countFiles: (folder, most) =>
    Math.min(most, { many: 99, map: 8, keys: 1 }[folder.split("/").at(-1) ?? ""] ?? 0),
  placeWithin: (folder, bound) =>
    bound === `${PARTS}/disk/web/0` && folder.endsWith("/disk") ? "a/b" : undefined,
  filesystemOn: (path) => path === "/disk.img" ? "ext4" : undefined,
};
const CONTEXT: MountContext = {
  bundle: "/bundle",
  inPod: true,
  hugepageLimits: [],
  useDisks: true,
  guestEmptyDirs: true,
};

function plan(mount: Mount, context: Partial<MountContext> = {}): MountPlan | undefined {
  return planMounts([mount], { ...CONTEXT, ...context }, HOST)[0];
}

Deno.test("what is no bind mount is the guest's to make", () => {
  for (const type of ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup"]) {
    const mount = { destination: "/x", type, source: type };
    assert.deepEqual(plan(mount), { kind: "guest", mount });
  }
});

Deno.test("files and folders of the host are shared, by type or by option", () => {
  const mount = { destination: "/d", type: "bind", source: "/data", options: ["rbind", "ro"] };
  assert.deepEqual(plan(mount), {
    kind: "shared",
    mount,
    source: "/data",
    readonly: true,
    recursive: true,
    follows: false,
  });
  const other = { destination: "/d", type: "none", source: "relative", options: ["bind", "rw"] };
  assert.deepEqual(plan(other), {
    kind: "shared",
    mount: other,
    source: "/bundle/relative",
    readonly: false,
    recursive: false,
    follows: false,
  });
  for (const option of ["rslave", "rshared", "slave"]) {
    const following = { ...mount, options: ["rbind", option] };
    assert.partialDeepStrictEqual(plan(following), { recursive: true, follows: true });
  }
});

Deno.test("the kernel's own folders and device nodes are the guest's", () => {
  for (
    const [source, destination] of [["/proc/sys", "/x"], ["/sys/fs/cgroup", "/y"], ["/dev", "/dev"], [
      "/dev/null",
      "/dev/null",
    ]]
  ) {
    assert.equal((plan({ destination: destination ?? "", type: "bind", source }))?.kind, "guest");
  }
  // a plain file below /dev, and a name that only begins like one of the kernel's folders
  assert.equal((plan({ destination: "/dev/plain", type: "bind", source: "/data" }))?.kind, "shared");
  assert.throws(() => plan({ destination: "/x", type: "bind", source: "/process" }), /does not exist/);
});

Deno.test("every container has the pod's /dev/shm", () => {
  const expected = {
    destination: "/dev/shm",
    type: "bind",
    source: "/run/kata-containers/sandbox/shm",
    options: ["rbind"],
  };
  for (const type of ["tmpfs", "bind"]) {
    assert.deepEqual(plan({ destination: "/dev/shm", type, source: "shm" }), {
      kind: "guest",
      mount: expected,
    });
  }
});

Deno.test("a source that is missing, or a disk where disks are not used, is refused by name", () => {
  assert.throws(() => plan({ destination: "/d", type: "bind", source: "/none" }), {
    message: 'cannot mount "/d": its source "/none" does not exist',
  });
  const disk = { destination: "/d", type: "bind", source: "/dev/sda" };
  assert.throws(() => plan(disk, { useDisks: false }), {
    message:
      'cannot mount "/d": its source "/dev/sda" is a block device, and disable_block_device_use is set',
  });
});

Deno.test("a disk that is bound is plugged in, and its node is bound there", () => {
  const mount = { destination: "/d", type: "bind", source: "/dev/sda", options: ["rbind", "ro"] };
  const disk = { path: "/dev/sda", isDevice: true, readonly: true };
  assert.deepEqual(plan(mount), { kind: "disk", mount, disk });
});

Deno.test("a volume that was left to the machine is mounted there, with its group", () => {
  const mount = { destination: "/d", type: "bind", source: "/pvc", options: ["rbind"] };
  assert.deepEqual(plan(mount), {
    kind: "disk",
    mount,
    disk: { path: "/dev/sda", isDevice: true, readonly: false },
    filesystem: {
      fstype: "xfs",
      options: ["noatime", "nouuid"],
      fsGroup: { groupId: 1000, groupChangePolicy: FSGroupChangePolicy.OnRootMismatch },
    },
    volume: "/pvc",
  });
  const bind = (source: string) => plan({ destination: "/d", type: "bind", source });
  assert.throws(() => bind("/odd"), {
    message: 'cannot mount "/d": volume "/odd" must have the type "block": it is "spdk"',
  });
  assert.throws(
    () => bind("/gone"),
    /"\/gone" must be on a block device or in a file: "\/dev\/gone" is not there/,
  );
  assert.throws(() => bind("/raw"), /"\/raw" needs "fstype"/);
});

Deno.test("a file is a disk when it is said to be one, and has a file system", () => {
  const options = ["rbind", "ro", "io.katacontainers.fs-opt.block_device=file"];
  const mount = { destination: "/d", type: "bind", source: "/disk.img", options };
  assert.deepEqual(plan(mount), {
    kind: "disk",
    mount: { ...mount, options: ["bind"] },
    disk: { path: "/disk.img", isDevice: false, readonly: true },
    filesystem: { fstype: "ext4", options: ["ro"] },
  });
  assert.throws(() => plan({ ...mount, source: "/plain.img" }), /the file "\/plain.img" has no file system/);
});

Deno.test("a pod's volume in memory is memory of the guest, as large as on the host", () => {
  const mount = { destination: "/c", type: "bind", source: `${EMPTY_DIRS}/cache`, options: ["rbind"] };
  const mountPoint = "/run/kata-containers/sandbox/ephemeral/cache";
  assert.deepEqual(plan(mount), {
    kind: "storage",
    mount: { ...mount, source: mountPoint },
    storages: [{
      driver: "ephemeral",
      source: "tmpfs",
      fstype: "tmpfs",
      mountPoint,
      options: ["mode=777", `size=${64 * MIB}`, "fsgid=77"],
    }],
  });
  assert.equal((plan(mount, { inPod: false }))?.kind, "shared");
});

Deno.test("a pod's volume on the host's disk is a folder of the pod's, and so is a part of it", () => {
  const mount = { destination: "/c", type: "bind", source: `${EMPTY_DIRS}/disk`, options: ["rbind"] };
  const planned = plan(mount);
  assert(planned?.kind === "local");
  const local = (mountPoint: string, mode: string) => ({
    driver: "local",
    source: "local",
    fstype: "local",
    mountPoint,
    options: [`mode=${mode}`, "fsgid=77"],
  });
  const whole = local("/pod/disk", "0777");
  assert.deepEqual(planned.at("/pod"), { mount: { ...mount, source: "/pod/disk" }, storages: [whole] });
  for (const source of [`${PARTS}/disk/web/0`, `${EMPTY_DIRS}/disk/a/b`]) {
    const part = plan({ ...mount, source });
    assert(part?.kind === "local");
    assert.deepEqual(part.at("/pod"), {
      mount: { ...mount, source: "/pod/disk/a/b" },
      storages: [whole, local("/pod/disk/a", "777"), local("/pod/disk/a/b", "777")],
    });
    assert.equal((plan({ ...mount, source }, { guestEmptyDirs: false }))?.kind, "shared");
  }
  const inMemory = plan({ ...mount, source: `${EMPTY_DIRS}/cache/sub` });
  assert(inMemory?.kind === "storage");
  assert.equal(inMemory.mount.source, "/run/kata-containers/sandbox/ephemeral/cache/sub");
  assert.deepEqual(inMemory.storages.map(({ driver }) => driver), ["ephemeral", "local"]);
  // a part of another kind of volume, and a way out of the volume
  assert.equal((plan({ ...mount, source: `${PARTS}/config/web/0` }))?.kind, "shared");
  assert.equal((plan({ ...mount, source: `${EMPTY_DIRS}/disk/../x` }))?.kind, "shared");
  assert.equal((plan(mount, { guestEmptyDirs: false }))?.kind, "shared");
  assert.equal((plan(mount, { inPod: false }))?.kind, "shared");
});

Deno.test("volumes of few files whose users wait for changes are watched", () => {
  const watched = (volume: string) => {
    const source = `/pods/x/volumes/kubernetes.io~${volume}`;
    const planned = plan({ destination: "/c", type: "bind", source });
    assert(planned?.kind === "shared");
    return planned.watchable ?? false;
  };
  assert.equal(watched("configmap/map"), true);
  assert.equal(watched("secret/keys"), true);
  for (
    const other of ["configmap/many", "secret/empty", "projected/map", "downward-api/map", "configmap/a/map"]
  ) {
    assert.equal(watched(other), false, other);
  }
});

Deno.test("a volume of huge pages has those that the container's limit sets aside", () => {
  const mount = { destination: "/h", type: "bind", source: `${EMPTY_DIRS}/huge` };
  const hugepageLimits: HugepageLimit[] = [{ pageSize: "1GB", limit: 1n }, {
    pageSize: "2MB",
    limit: BigInt(8 * MIB),
  }];
  const planned = plan(mount, { hugepageLimits });
  assert(planned?.kind === "storage");
  assert.deepEqual(planned.storages[0]?.options, [`pagesize=${2 * MIB}`, `size=${8 * MIB}`]);
  assert.equal(planned.storages[0]?.fstype, "hugetlbfs");
  assert.throws(() => plan(mount), {
    message: 'cannot mount "/h": the container has no limit for its huge pages of 2097152 bytes',
  });
});

Deno.test("the size of /dev/shm comes from its mount", () => {
  const sizeOf = (path: string) => path === "/host/shm" ? 12_345 : undefined;
  const size = (mount: object) => shmSize([{ destination: "/dev/shm", ...mount }], sizeOf);
  assert.equal(shmSize([], sizeOf), 67_108_864);
  assert.equal(size({ type: "bind", source: "/host/shm" }), 12_345);
  assert.equal(size({ type: "bind", source: "/gone" }), 67_108_864);
  assert.equal(size({ type: "tmpfs", options: ["size=1m"] }), 1_048_576);
  assert.equal(size({ type: "tmpfs", options: ["mode=1777"] }), 67_108_864);
});

Deno.test("sizes as tmpfs takes them", () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["1", 1],
    ["65536k", 67_108_864],
    ["1G", 1_073_741_824],
    ["", undefined],
    ["1x", undefined],
    ["50%", undefined],
    ["-1", undefined],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
});
