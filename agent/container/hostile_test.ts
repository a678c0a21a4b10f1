/** Root file systems and processes that try to reach, or to change, what is not theirs. */

import assert from "node:assert/strict";
import type { Mount, Spec } from "../../oci/spec.ts";
import { mknodAt, S } from "../../sys/fd.ts";
import { AT } from "../../sys/abi/file.ts";
import { StepError } from "../../sys/program.ts";
import { fileAppears, Harness, specOf } from "./testing/harness.ts";

/** Swaps two names as fast as it can: renameat2(2) with RENAME_EXCHANGE. */
const SWAP = `my ($a, $b) = @ARGV; my $nr = ${Deno.build.arch === "aarch64" ? 276 : 316};
  $| = 1; print "ready\\n"; while (1) { syscall($nr, -100, $a, -100, $b, 2); }`;

/** A process that swaps two names until the end of the scope. */
async function swapping(a: string, b: string): Promise<AsyncDisposable> {
  const args = ["-e", SWAP, a, b];
  const child = new Deno.Command("/usr/bin/perl", { args, stdout: "piped", stderr: "null" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

/** A folder beside the rootfs that nothing in a container may reach or change. */
async function withOutside(run: (harness: Harness, outside: string) => Promise<void>): Promise<void> {
  await using harness = new Harness();
  const outside = `${harness.folder}/outside`;
  Deno.mkdirSync(`${outside}/sub`, { recursive: true });
  Deno.writeTextFileSync(`${outside}/secret`, "secret");
  await run(harness, outside);
  assert.deepEqual([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["secret", "sub"]);
  assert.deepEqual([...Deno.readDirSync(`${outside}/sub`)], []);
  assert.equal(Deno.readTextFileSync(`${outside}/secret`), "secret");
}

const ROUNDS = 40;

for (const target of ["relative", "absolute", "magic"] as const) {
  Deno.test(`a mount point that is swapped with a link that leads out (${target}) leads nowhere`, async () => {
    await withOutside(async (harness, outside) => {
      const { rootfs, folder } = harness;
      Deno.mkdirSync(`${rootfs}/race/sub`, { recursive: true });
      const links = { relative: "../outside", absolute: outside, magic: `/proc/self/root${outside}` };
      Deno.symlinkSync(links[target], `${rootfs}/evil`);
      Deno.mkdirSync(`${folder}/data`);
      Deno.writeTextFileSync(`${folder}/data/mine`, "");
      await using swapper = await swapping(`${rootfs}/race`, `${rootfs}/evil`);
      assert.ok(swapper);
      const spec = specOf(rootfs, ["sh", "-c", "ls /race/secret /evil/secret 2>/dev/null; :"]);
      spec.process.cwd = "/race/cwd";
      spec.mounts?.push(
        { destination: "/race/sub", source: `${folder}/data`, options: ["bind"] },
        { destination: "/race/secret", source: `${folder}/data/mine`, options: ["bind"] },
        { destination: "/race/made/deep", type: "tmpfs" },
        { destination: "/race/filled", type: "tmpfs", options: ["tmpcopyup"] },
      );
      spec.linux = {
        ...spec.linux,
        devices: [{ path: "/race/null", type: "c", major: 1, minor: 3 }],
        maskedPaths: ["/race/sub"],
        readonlyPaths: ["/race"],
      };
      for (let round = 0; round < ROUNDS; round++) {
        try {
          await harness.run(spec);
        } catch (error) {
          assert.ok(error instanceof StepError, String(error));
        }
      }
    });
  });
}

Deno.test("links of the image do not lead mounts into /proc", async () => {
  await using harness = new Harness();
  const { rootfs, folder } = harness;
  Deno.symlinkSync("/proc", `${rootfs}/link`);
  Deno.symlinkSync("proc/sys/kernel", `${rootfs}/deep`);
  Deno.writeTextFileSync(`${folder}/file`, "");
  const cases: Mount[] = [
    { destination: "/link/self", type: "tmpfs" },
    { destination: "/link", type: "tmpfs", options: ["tmpcopyup"] },
    { destination: "/deep", source: folder, options: ["bind"] },
    { destination: "/deep/core_pattern", source: `${folder}/file`, options: ["bind"] },
    { destination: "/deep/../../version", source: `${folder}/file`, options: ["bind"] },
  ];
  for (const mount of cases) {
    await assert.rejects(harness.sh("true", (spec) => void spec.mounts?.push(mount)), {
      message: `keep /proc free of ${mount.destination}: ELOOP`,
    });
  }
});

Deno.test("folders of the image that are links stay inside of it", async () => {
  await withOutside(async (harness, outside) => {
    const { rootfs } = harness;
    Deno.removeSync(`${rootfs}/dev`);
    for (const name of ["dev", "opt"]) Deno.symlinkSync(outside, `${rootfs}/${name}`);
    const script = `echo x > /dev/null; ls ${outside}/null; ls -A /opt/x; touch /opt/made; ls /dev/made`;
    const printed = await harness.output(
      script,
      (spec) => void spec.mounts?.push({ destination: "/opt/x", type: "tmpfs" }),
    );
    // All of it is one folder, in the image.
    assert.equal(printed, `${outside}/null\n/dev/made`);
  });
});

Deno.test("sysfs and proc are not mounted where a link leads", async () => {
  for (const name of ["sys", "proc"]) {
    await using harness = new Harness();
    Deno.mkdirSync(`${harness.rootfs}/real`);
    Deno.removeSync(`${harness.rootfs}/${name}`);
    Deno.symlinkSync("real", `${harness.rootfs}/${name}`);
    const change = (spec: Spec) => void spec.mounts?.push({ destination: "/sys", type: "sysfs" });
    await assert.rejects(harness.sh("true", change), { message: `open mount point /${name}: ELOOP` });
  }
});

Deno.test("files about users that block, or never end, are not waited for", async () => {
  await using harness = new Harness();
  const passwd = `${harness.rootfs}/etc/passwd`;
  const home = () => harness.output("echo $HOME");
  Deno.removeSync(passwd);
  mknodAt(AT.FDCWD, passwd, S.IFIFO | 0o644);
  assert.equal(await home(), "/");
  Deno.removeSync(passwd);
  Deno.writeTextFileSync(passwd, "root:x:0:0::/home/root:");
  Deno.truncateSync(passwd, 2 ** 40);
  assert.equal(await home(), "/");
  Deno.removeSync(passwd);
  Deno.symlinkSync("/proc/self/environ", passwd);
  assert.equal(await home(), "/");
});

Deno.test("a passwd file that was made for the agent to open or to read is left alone", async () => {
  await using harness = new Harness();
  const passwd = `${harness.rootfs}/etc/passwd`;
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "1000"]));
  await made.container.start();
  const home = async () => (await made.exec({ args: ["sh", "-c", "echo $HOME"] })).stdout;
  // Has no end: eight bytes for each page that a process could have.
  Deno.removeSync(passwd);
  Deno.symlinkSync("/proc/1/pagemap", passwd);
  assert.equal(await home(), "/\n");
  // Opening it would be told to who holds the other end.
  Deno.removeSync(passwd);
  mknodAt(AT.FDCWD, passwd, S.IFIFO | 0o644);
  const writer = new Deno.Command("/usr/bin/perl", {
    args: ["-e", `$| = 1; print "ready\\n"; open(my $to, ">", $ARGV[0]); print "opened\\n"`, passwd],
    stdout: "piped",
  }).spawn();
  const reader = writer.stdout.getReader();
  await reader.read();
  assert.equal(await home(), "/\n");
  writer.kill("SIGKILL");
  assert.equal((await reader.read()).done, true);
  await writer.status;
});

/** Enters the mounts of a process, and mounts a file system on /etc that it will never answer for. */
const SILENT = `use Fcntl; my ($pid) = @ARGV; $| = 1;
  my ($setns, $mount) = (${Deno.build.arch === "aarch64" ? "268, 40" : "308, 165"});
  sysopen(my $fuse, "/dev/fuse", O_RDWR) or die "fuse: $!"; sysopen(my $ns, "/proc/$pid/ns/mnt", O_RDONLY) or die;
  syscall($setns, fileno($ns), 0x20000) == 0 or die "setns: $!";
  my $data = "fd=" . fileno($fuse) . ",rootmode=40000,user_id=0,group_id=0";
  my ($x, $etc, $type) = ("x", "/etc", "fuse");
  syscall($mount, $x, $etc, $type, 0, $data) == 0 or die "mount: $!"; print "ready\n"; sleep 1000`;

Deno.test("a file system of the container's that never answers keeps nobody waiting", async () => {
  await using harness = new Harness();
  await using made = await harness.create(specOf(harness.rootfs, ["sleep", "1000"]));
  await made.container.start();
  const args = ["-e", SILENT, String(made.container.init.pid)];
  const server = new Deno.Command("/usr/bin/perl", { args, stdout: "piped" }).spawn();
  const reader = server.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "ready\n");
  const echo = ["sh", "-c", "echo $HOME"];
  assert.equal((await made.exec({ args: echo })).stdout, "/root\n");
  assert.equal((await made.exec({ args: echo, user: { uid: 1000, gid: 1000 } })).stdout, "/\n");
  server.kill("SIGKILL");
  await reader.cancel();
  await server.status;
});

Deno.test("cgroups that a container makes go with it, however deep they lie and whatever they are called", async () => {
  await using harness = new Harness();
  Deno.mkdirSync(`${harness.rootfs}/sys/fs/cgroup`, { recursive: true });
  const script = `cd /sys/fs/cgroup && mkdir "$(printf 'odd\\377')" && name=$(printf 'x%.0s' $(seq 200)) &&
    for i in $(seq 40); do mkdir $name && cd $name || break; done; echo made > /tmp/made; sleep 1000`;
  const spec = specOf(harness.rootfs, ["sh", "-c", script]);
  spec.mounts?.push({ destination: "/sys/fs/cgroup", type: "cgroup" });
  await using made = await harness.create(spec);
  await made.container.start();
  await fileAppears(`${harness.rootfs}/tmp/made`);
  const folder = made.container.cgroupPath;
  assert.ok([...Deno.readDirSync(folder)].some(({ name }) => name.startsWith("odd")));
  assert.deepEqual(made.container.pids(), [made.container.init.pid]);
  assert.deepEqual((await made.exec({ args: ["true"] })).status, { code: 0, signal: 0 });
  await made.container.destroy();
  assert.throws(() => Deno.statSync(folder), Deno.errors.NotFound);
});

Deno.test("no descriptor of the agent reaches a container's processes", async () => {
  await using harness = new Harness();
  const script = "for f in /proc/self/fd/*; do readlink $f; done";
  const spec = specOf(harness.rootfs, ["sh", "-c", `${script}; echo > /tmp/printed; sleep 30`]);
  await using made = await harness.create(spec);
  await made.container.start();
  await fileAppears(`${harness.rootfs}/tmp/printed`);
  const { stdout } = await made.exec({ args: ["sh", "-c", script] });
  await made.container.destroy();
  const outcome = await made.outcome();
  for (const text of [stdout, outcome.stdout]) {
    const lines = text.trim().split("\n").map((line) => line.replace(/[0-9]+/g, "N"));
    // The links of the shell's own descriptor for the folder are gone when they are read.
    assert.deepEqual(lines, ["pipe:[N]", "pipe:[N]", "pipe:[N]"]);
  }
});

Deno.test("root of a user namespace cannot make devices, nor mount what it could use them on", async () => {
  await using harness = new Harness();
  Deno.chownSync(`${harness.rootfs}/tmp`, 100_000, 100_000);
  const script = `cd /tmp; mknod null c 1 3 2>/dev/null || echo refused
    mount -t devtmpfs none /tmp 2>/dev/null || echo refused; mount -t ext4 /dev/vda /tmp 2>/dev/null || echo refused
    touch /bin/x 2>/dev/null || echo refused; { echo 5 > /proc/sys/kernel/panic; } 2>/dev/null || echo refused`;
  const maps = [{ containerID: 0, hostID: 100_000, size: 10 }];
  for (const folder of ["dev", "proc"]) Deno.chownSync(`${harness.rootfs}/${folder}`, 100_000, 100_000);
  const printed = await harness.output(script, (spec) => {
    spec.linux = {
      namespaces: [...spec.linux?.namespaces ?? [], { type: "user" }],
      uidMappings: maps,
      gidMappings: maps,
    };
  });
  assert.equal(printed, Array(5).fill("refused").join("\n"));
});
