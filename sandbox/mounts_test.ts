import assert from "node:assert/strict";
import { type FileKind, parseSize, planMounts, shmSize } from "./mounts.ts";

const host: Record<string, FileKind> = {
  "/data": "folder",
  "/etc/hosts": "file",
  "/bundle/relative": "file",
  "/dev/sda": "block",
  "/dev/null": "other",
  "/dev/plain": "file",
};
const kindOf = (path: string) => host[path];
const plan = (mount: Parameters<typeof planMounts>[0][number]) => planMounts([mount], "/bundle", kindOf)[0];

Deno.test("what is no bind mount is the guest's to make", () => {
  for (const type of ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup"]) {
    const mount = { destination: "/x", type, source: type };
    assert.deepEqual(plan(mount), { kind: "guest", mount });
  }
});

Deno.test("files and folders of the host are shared, by type or by option", () => {
  const mount = { destination: "/d", type: "bind", source: "/data", options: ["rbind", "ro"] };
  assert.deepEqual(plan(mount), { kind: "shared", mount, source: "/data", readonly: true });
  const other = { destination: "/d", type: "none", source: "relative", options: ["bind", "rw"] };
  assert.deepEqual(plan(other), {
    kind: "shared",
    mount: other,
    source: "/bundle/relative",
    readonly: false,
  });
});

Deno.test("the kernel's own folders and device nodes are the guest's", () => {
  for (
    const [source, destination] of [["/proc/sys", "/x"], ["/sys/fs/cgroup", "/y"], ["/dev", "/dev"], [
      "/dev/null",
      "/dev/null",
    ]]
  ) {
    assert.equal(plan({ destination: destination ?? "", type: "bind", source })?.kind, "guest");
  }
  // a plain file below /dev, and a name that only begins like one of the kernel's folders
  assert.equal(plan({ destination: "/dev/plain", type: "bind", source: "/data" })?.kind, "shared");
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

Deno.test("a source that is missing or a block device is refused by name", () => {
  assert.throws(() => plan({ destination: "/d", type: "bind", source: "/none" }), {
    message: 'cannot mount "/d": its source "/none" does not exist',
  });
  assert.throws(() => plan({ destination: "/d", type: "bind", source: "/dev/sda" }), {
    message:
      'cannot mount "/d": its source "/dev/sda" is a block device, and only files and folders are shared',
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
