import assert from "node:assert/strict";
import type { Mount, Spec } from "../../oci/spec.ts";
import { mount, umount } from "../../sys/mount.ts";
import { Harness } from "./testing/harness.ts";

/** The `mount` lines of the container for some places. */
const mounts = (...places: string[]) =>
  `for p in ${places.join(" ")}; do grep " $p " /proc/self/mountinfo | cut -d' ' -f 5,6,7- ; done`;

async function outputOf(
  script: string,
  list: Mount[],
  change: (spec: Spec, harness: Harness) => void = () => {},
): Promise<string> {
  await using harness = new Harness();
  return await harness.output(script, (spec) => {
    spec.mounts?.push(
      ...list.map((mount) => ({
        ...mount,
        ...mount.source && { source: mount.source.replace("@", harness.folder) },
      })),
    );
    change(spec, harness);
  });
}

Deno.test("the file systems of the default specification are mounted as asked", async () => {
  const printed = await outputOf(
    "for p in /proc /dev /dev/pts /dev/shm /dev/mqueue /sys /sys/fs/cgroup; do grep \" $p \" /proc/mounts | cut -d' ' -f 2-4; done",
    [
      {
        destination: "/dev/pts",
        type: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
      },
      { destination: "/dev/mqueue", type: "mqueue", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/sys", type: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
      },
    ],
  );
  assert.equal(
    printed,
    [
      "/proc proc rw,nosuid,nodev,noexec,relatime",
      "/dev tmpfs rw,nosuid,mode=755",
      "/dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666",
      "/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k",
      "/dev/mqueue mqueue rw,nosuid,nodev,noexec,relatime",
      "/sys sysfs ro,nosuid,nodev,noexec,relatime",
      "/sys/fs/cgroup cgroup2 ro,nosuid,nodev,noexec,relatime",
    ].join("\n"),
  );
});

Deno.test("a writable cgroup mount shows the container's own cgroup as its root", async () => {
  const printed = await outputOf(
    "mkdir /sys/fs/cgroup/mine && cat /proc/self/cgroup | grep ^0 && ls -d /sys/fs/cgroup/*/ && rmdir /sys/fs/cgroup/mine",
    [
      { destination: "/sys", type: "sysfs" },
      { destination: "/sys/fs/cgroup", type: "cgroup" },
    ],
  );
  assert.equal(printed, "0::/\n/sys/fs/cgroup/mine/");
});

Deno.test("a bind shows its source, folder or file, at a place that is made for it", async () => {
  const printed = await outputOf(
    "cat /some/new/folder/in /some/new/file; stat -c %a /some/new; ls -l /some/new/file | cut -c1-10",
    [
      { destination: "/some/new/folder", source: "@/data", options: ["rbind"] },
      { destination: "/some/new/file", source: "@/data/in", options: ["bind"] },
    ],
    (_, { folder }) => {
      Deno.mkdirSync(`${folder}/data`);
      Deno.writeTextFileSync(`${folder}/data/in`, "content\n");
    },
  );
  assert.equal(printed, "content\ncontent\n755\n-rw-r--r--");
});

Deno.test("a bind from a path that is relative is from the bundle", async () => {
  const printed = await outputOf(
    "cat /x",
    [{ destination: "/x", source: "beside", options: ["bind"] }],
    (_, { folder }) => {
      Deno.writeTextFileSync(`${folder}/beside`, "here");
    },
  );
  assert.equal(printed, "here");
});

Deno.test("the flags of a bind hold", async () => {
  const printed = await outputOf(
    `touch /ro/x 2>/dev/null || echo read-only; /ro/true 2>/dev/null || echo noexec; ${
      mounts("/ro", "/rw")
    } | cut -d' ' -f2; touch /rw/x && echo writable`,
    [
      { destination: "/ro", source: "@/data", options: ["rbind", "ro", "nosuid", "noexec", "noatime"] },
      { destination: "/rw", source: "@/data", options: ["rbind", "rw"] },
    ],
    (_, { folder, rootfs }) => {
      Deno.mkdirSync(`${folder}/data`);
      Deno.copyFileSync(`${rootfs}/bin/busybox`, `${folder}/data/true`);
    },
  );
  assert.equal(printed, "read-only\nnoexec\nro,nosuid,noexec,noatime\nrw,relatime\nwritable");
});

Deno.test("a bind brings what is mounted below its source only with rbind, read-only all the way down with rro", async () => {
  await using harness = new Harness();
  const sub = `${harness.folder}/outer/sub`;
  Deno.mkdirSync(sub, { recursive: true });
  mount("tmpfs", sub, "tmpfs", 0);
  try {
    const source = `${harness.folder}/outer`;
    const script =
      "for d in plain all ro rro; do [ $d = plain ] || touch /$d/sub/$d 2>/dev/null; done; cd /plain; find /plain /all";
    const printed = await harness.output(script, (spec) => {
      spec.mounts?.push(
        { destination: "/plain", source, options: ["bind"] },
        { destination: "/all", source, options: ["rbind"] },
        { destination: "/ro", source, options: ["rbind", "ro"] },
        { destination: "/rro", source, options: ["rbind", "rro"] },
      );
    });
    assert.deepEqual(printed.split("\n").sort(), [
      "/all",
      "/all/sub",
      "/all/sub/all",
      "/all/sub/ro",
      "/plain",
      "/plain/sub",
    ]);
  } finally {
    umount(sub);
  }
});

Deno.test("propagation is what the options say", async () => {
  const places = ["private", "shared", "slave", "unbindable"];
  const printed = await outputOf(
    `for p in ${
      places.join(" ")
    }; do grep " /$p " /proc/self/mountinfo | sed 's/ - .*//' | cut -d' ' -f 7; done`,
    places.map((place) => ({
      destination: `/${place}`,
      type: "tmpfs",
      options: [place === "slave" ? "shared" : place, place],
    })),
  );
  assert.match(printed, /^\nshared:[0-9]+\n(master:[0-9]+)?\nunbindable$/);
});

Deno.test("rootfsPropagation is that of the root", async () => {
  const script = "sed 's/ - .*//' /proc/self/mountinfo | grep ' / ' | cut -d' ' -f 7 | head -n 1";
  const propagation = async (value: string) => {
    await using harness = new Harness();
    return await harness.output(script, (spec) => {
      spec.linux = { ...spec.linux, rootfsPropagation: value };
    });
  };
  assert.match(await propagation("shared"), /^shared:[0-9]+$/);
  assert.equal(await propagation("private"), "");
  assert.equal(await propagation("runbindable"), "unbindable");
  await assert.rejects(propagation("sideways"), {
    message: `linux.rootfsPropagation is not a propagation: it is "sideways"`,
  });
});

Deno.test("a read-only root cannot be written to, what is mounted in it can", async () => {
  const printed = await outputOf("touch /x 2>/dev/null || echo refused; touch /tmp/x && echo fine", [
    { destination: "/tmp", type: "tmpfs" },
  ], (spec) => spec.root.readonly = true);
  assert.equal(printed, "refused\nfine");
});

Deno.test("a read-only tmpfs and a read-only /dev are filled before they are closed", async () => {
  const script = `ls -d /ro/made /dev/null /dev/shm; echo x > /dev/null
    for f in /ro/x /dev/x; do touch $f 2>/dev/null || echo refused; done`;
  const printed = await outputOf(script, [
    { destination: "/ro", type: "tmpfs", options: ["ro"] },
    { destination: "/ro/made", type: "tmpfs" },
    { destination: "/dev/shm", type: "tmpfs" },
  ], (spec) => spec.mounts?.[1]?.options?.push("ro"));
  assert.equal(printed, "/dev/null\n/dev/shm\n/ro/made\nrefused\nrefused");
});

Deno.test("a tmpfs takes over the mode of the folder it covers", async () => {
  const printed = await outputOf("stat -c %a /tmp /new /given", [
    { destination: "/tmp", type: "tmpfs" },
    { destination: "/new", type: "tmpfs" },
    { destination: "/given", type: "tmpfs", options: ["mode=700"] },
  ], (_, { rootfs }) => Deno.chmodSync(`${rootfs}/tmp`, 0o1777));
  assert.equal(printed, "1777\n755\n700");
});

Deno.test("a mount can be changed by a later entry", async () => {
  const script = `${mounts("/a", "/b")} | cut -d' ' -f2; grep ' /a ' /proc/mounts | grep -o size=[0-9]*k`;
  const printed = await outputOf(script, [
    { destination: "/a", type: "tmpfs", options: ["size=1m"] },
    { destination: "/b", type: "tmpfs" },
    { destination: "/a", options: ["remount", "ro", "size=2m"] },
    { destination: "/b", options: ["remount", "bind", "noexec"] },
  ]);
  assert.equal(printed, "ro,relatime\nrw,noexec,relatime\nsize=2048k");
});

Deno.test("mount points are made where links of the image lead to", async () => {
  const printed = await outputOf(
    "cat /etc/resolv.conf; readlink /etc/resolv.conf; cat /run/deep/er/resolv.conf; ls /target/x",
    [
      { destination: "/etc/resolv.conf", source: "@/file", options: ["bind"] },
      { destination: "/link/x", type: "tmpfs" },
    ],
    (_, { folder, rootfs }) => {
      Deno.writeTextFileSync(`${folder}/file`, "nameserver\n");
      Deno.symlinkSync("../run/deep/er/resolv.conf", `${rootfs}/etc/resolv.conf`);
      Deno.symlinkSync("/target", `${rootfs}/link`);
    },
  );
  assert.equal(printed, "nameserver\n../run/deep/er/resolv.conf\nnameserver");
});

Deno.test("devices are made with number, mode and owner", async () => {
  const printed = await outputOf(
    "stat -c '%n %F %a %u %g %t,%T' /dev/null /dev/net/tun /dev/fifo /opt/node /dev/zero",
    [],
    (spec) => {
      spec.linux = {
        ...spec.linux,
        devices: [
          { path: "/dev/net/tun", type: "c", major: 10, minor: 200, fileMode: 0o666 },
          { path: "/dev/fifo", type: "p", fileMode: 0o10600, uid: 7, gid: 8 },
          { path: "/opt/node", type: "b", major: 259, minor: 300, fileMode: 0o640, gid: 6 },
          { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o600 },
          { path: "/dev/ptmx", type: "c", major: 5, minor: 2 },
        ],
      };
    },
  );
  assert.equal(
    printed,
    [
      "/dev/null character special file 666 0 0 1,3",
      "/dev/net/tun character special file 666 0 0 a,c8",
      "/dev/fifo fifo 600 7 8 0,0",
      "/opt/node block special file 640 0 6 103,12c",
      "/dev/zero character special file 600 0 0 1,5",
    ].join("\n"),
  );
});

Deno.test("devices in an image's own /dev are kept if they are the same, else refused", async () => {
  await using harness = new Harness();
  const withoutDev = (spec: Spec) => {
    spec.mounts?.pop();
  };
  const list = "ls /dev";
  const first = await harness.output(list, withoutDev);
  assert.equal(await harness.output(list, withoutDev), first);
  assert.match(
    first,
    /^core\nfd\nfull\nnull\nptmx\nrandom\nstderr\nstdin\nstdout\ntty\nurandom\nzero$|^fd\nfull/,
  );
  Deno.removeSync(`${harness.rootfs}/dev/null`);
  Deno.writeTextFileSync(`${harness.rootfs}/dev/null`, "");
  await assert.rejects(harness.output(list, withoutDev), { message: "make device /dev/null: EEXIST" });
});

Deno.test("a /dev from outside is left as it is", async () => {
  const printed = await outputOf(
    "ls /dev",
    [{ destination: "/dev", source: "@/dev", options: ["rbind"] }],
    (_, { folder }) => {
      Deno.mkdirSync(`${folder}/dev`);
      Deno.writeTextFileSync(`${folder}/dev/mine`, "");
    },
  );
  assert.equal(printed, "mine");
});

Deno.test("masked files read as nothing, masked folders are empty, missing ones do not matter", async () => {
  const script =
    `wc -c < /etc/secret; wc -c < /etc/other; ls /data /more; touch /data/x 2>/dev/null || echo refused
    cat /proc/kallsyms | wc -c; stat -c %F /etc/secret`;
  const printed = await outputOf(script, [], (spec, { rootfs }) => {
    Deno.writeTextFileSync(`${rootfs}/etc/secret`, "secret");
    Deno.writeTextFileSync(`${rootfs}/etc/other`, "secret");
    for (const folder of ["data", "more"]) {
      Deno.mkdirSync(`${rootfs}/${folder}`);
      Deno.writeTextFileSync(`${rootfs}/${folder}/in`, "");
    }
    spec.linux = {
      ...spec.linux,
      maskedPaths: [
        "/etc/secret",
        "/data",
        "/proc/kallsyms",
        "/etc/other",
        "/more",
        "/etc/secret/",
        "/missing",
        "/etc/passwd/x",
      ],
    };
  });
  assert.equal(printed, "0\n0\n/data:\n\n/more:\nrefused\n0\ncharacter special file");
});

Deno.test("read-only paths cannot be written to, and keep the other flags of their mount", async () => {
  const script =
    `echo x > /proc/sys/kernel/domainname || echo refused; touch /data/x || echo refused; touch /data/sub/x || echo refused
    ${mounts("/proc/sys", "/data")} | cut -d' ' -f2`;
  const printed = await outputOf(`{ ${script}; } 2>/dev/null`, [], (spec, { rootfs }) => {
    Deno.mkdirSync(`${rootfs}/data/sub`, { recursive: true });
    spec.linux = { ...spec.linux, readonlyPaths: ["/proc/sys", "/data", "/missing", "/proc/sys"] };
  });
  assert.equal(printed, "refused\nrefused\nrefused\nro,nosuid,nodev,noexec,relatime\nro,relatime");
});

Deno.test("mounts that make no sense are refused with the JSON path", async () => {
  const cases: [Mount, string][] = [
    [{ destination: "/x", options: ["bind"] }, "mounts[2].source must be given for a bind"],
    [
      { destination: "/x", source: "/nowhere", options: ["bind"] },
      `mounts[2].source cannot be used: "/nowhere" gives ENOENT`,
    ],
    [
      { destination: "/x", source: "/", options: ["bind", "size=1"] },
      `mounts[2].options cannot have "size=1" for a bind: it has no data`,
    ],
    [
      { destination: "/x", type: "bind", source: "x" },
      'mounts[2].options must have "bind" or "rbind" for the type "bind"',
    ],
    [{ destination: "/x", source: "x" }, "mounts[2].type must be given for what is not a bind"],
    [
      { destination: "/proc/self", type: "tmpfs" },
      `mounts[2].destination must not cover this part of /proc: it is "/proc/self"`,
    ],
    [
      { destination: "/proc", type: "tmpfs" },
      `mounts[2].destination must not cover this part of /proc: it is "/proc"`,
    ],
  ];
  for (const [mount, message] of cases) {
    await assert.rejects(outputOf("true", [mount]), { name: "SpecError", message });
  }
});

Deno.test("a file about the machine may be covered", async () => {
  const printed = await outputOf("cat /proc/uptime", [{
    destination: "/proc/uptime",
    source: "@/up",
    options: ["bind"],
  }], (_, { folder }) => {
    Deno.writeTextFileSync(`${folder}/up`, "0 0");
  });
  assert.equal(printed, "0 0");
});
