import assert from "node:assert/strict";
import type { Mount, Spec } from "../../oci/spec.ts";
import { Harness } from "./testing/harness.ts";

const COPY_UP: Mount = { destination: "/var", type: "tmpfs", options: ["tmpcopyup", "size=4m"] };

/** Puts something of every kind below a folder of the rootfs. */
function fillFolder(folder: string): void {
  Deno.mkdirSync(`${folder}/deep/er`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/file`, "content");
  Deno.chmodSync(`${folder}/file`, 0o4750);
  Deno.chownSync(`${folder}/deep`, 5, 6);
  Deno.chmodSync(`${folder}/deep`, 0o1711);
  Deno.writeFileSync(`${folder}/deep/er/big`, new Uint8Array(1_500_000).fill(120));
  Deno.symlinkSync("/etc/passwd", `${folder}/link`);
  Deno.chownSync(`${folder}/file`, 7, 8);
  Deno.chmodSync(`${folder}/file`, 0o4750);
}

const LIST =
  "cd /var; find . | sort; stat -c '%n %F %a %u:%g' file deep link; wc -c < deep/er/big; cat file; echo";
const LISTED = [
  ".",
  "./deep",
  "./deep/er",
  "./deep/er/big",
  "./file",
  "./link",
  "file regular file 4750 7:8",
  "deep directory 1711 5:6",
  "link symbolic link 777 0:0",
  "1500000",
  "content",
];

Deno.test("a tmpfs with tmpcopyup begins with what its mount point has in it, and the image stays as it is", async () => {
  await using harness = new Harness();
  fillFolder(`${harness.rootfs}/var`);
  Deno.chmodSync(`${harness.rootfs}/var`, 0o1777);
  const script =
    `${LIST}; rm -r /var/deep /var/file; echo new > /var/new; stat -c %a /var; grep ' /var ' /proc/mounts | grep -o 'tmpfs.*size=[0-9]*k'`;
  const printed = await harness.output(script, (spec) => void spec.mounts?.push(COPY_UP));
  assert.deepEqual(printed.split("\n").slice(0, -2), LISTED);
  assert.match(printed, /\n1777\ntmpfs.*size=4096k$/);
  assert.deepEqual([...Deno.readDirSync(`${harness.rootfs}/var`)].map(({ name }) => name).sort(), [
    "deep",
    "file",
    "link",
  ]);
});

Deno.test("what is copied is what earlier mounts have put there, and a later one may cover it", async () => {
  await using harness = new Harness();
  const source = `${harness.folder}/data`;
  Deno.mkdirSync(source);
  Deno.writeTextFileSync(`${source}/bound`, "");
  const printed = await harness.output(
    "ls /var /var/sub; touch /var/x 2>/dev/null || echo read-only",
    (spec) =>
      void spec.mounts?.push(
        { destination: "/var", source, options: ["bind"] },
        { ...COPY_UP, options: ["tmpcopyup", "ro"] },
        { destination: "/var/sub", type: "tmpfs", options: ["tmpcopyup"] },
      ),
  );
  assert.equal(printed, "/var:\nbound\nsub\n\n/var/sub:\nread-only");
});

Deno.test("in a user namespace the copy belongs to whom the original does", async () => {
  await using harness = new Harness();
  const own = (path: string) => Deno.chownSync(path, 100_000, 100_000);
  Deno.mkdirSync(`${harness.rootfs}/var`);
  Deno.writeTextFileSync(`${harness.rootfs}/var/file`, "");
  for (const path of ["", "/var", "/var/file", "/dev", "/proc", "/tmp"]) own(`${harness.rootfs}${path}`);
  const printed = await harness.output(
    "stat -c '%n %u' /var /var/file; touch /var/new && echo made",
    (spec: Spec) => {
      const maps = [{ containerID: 0, hostID: 100_000, size: 10 }];
      spec.linux = {
        namespaces: [...spec.linux?.namespaces ?? [], { type: "user" }],
        uidMappings: maps,
        gidMappings: maps,
      };
      spec.mounts?.push(COPY_UP);
    },
  );
  assert.equal(printed, "/var 0\n/var/file 0\nmade");
});

Deno.test("a copy that does not fit, or makes no sense, is refused by name, and nothing is left", async () => {
  await using harness = new Harness();
  fillFolder(`${harness.rootfs}/var`);
  const run = (mount: Mount) => harness.sh("true", (spec) => void spec.mounts?.push(mount));
  await assert.rejects(run({ ...COPY_UP, options: ["tmpcopyup", "size=64k"] }), {
    name: "StepError",
    message: "copy /var: ENOSPC",
  });
  await assert.rejects(run({ ...COPY_UP, options: ["tmpcopyup", "nonsense=1"] }), {
    name: "StepError",
    message: "make tmpfs for /var: EINVAL",
  });
  await assert.rejects(run({ ...COPY_UP, type: "proc" }), {
    message: `mounts[2].options can only have "tmpcopyup" for a new tmpfs: its type is "proc"`,
  });
});

Deno.test("what is copied cannot lead out of the container", async () => {
  await using harness = new Harness();
  const outside = `${harness.folder}/outside`;
  Deno.mkdirSync(outside);
  Deno.writeTextFileSync(`${outside}/secret`, "secret");
  Deno.mkdirSync(`${harness.rootfs}/real`);
  Deno.symlinkSync(outside, `${harness.rootfs}/real/folder`);
  Deno.symlinkSync(`/proc/1/root${outside}`, `${harness.rootfs}/real/magic`);
  Deno.symlinkSync("../../outside", `${harness.rootfs}/var`);
  const printed = await harness.output("ls -A /var/ /outside; ls -l /real | grep -c -- '->'", (spec) => {
    spec.mounts?.push(COPY_UP, { ...COPY_UP, destination: "/real" });
  });
  assert.equal(printed, "/outside:\n\n/var/:\n2");
});
