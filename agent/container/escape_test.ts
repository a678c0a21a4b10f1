import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { Harness, specOf } from "./testing/harness.ts";
import { buildInterpreter } from "./testing/probe.ts";

/** A folder beside the rootfs that nothing in a container may reach or change. */
async function withOutside(run: (harness: Harness, outside: string) => Promise<void>): Promise<void> {
  await using harness = new Harness();
  const outside = `${harness.folder}/outside`;
  Deno.mkdirSync(outside);
  Deno.writeTextFileSync(`${outside}/secret`, "secret");
  await run(harness, outside);
  assert.deepEqual([...Deno.readDirSync(outside)].map((entry) => entry.name), ["secret"]);
  assert.equal(Deno.readTextFileSync(`${outside}/secret`), "secret");
}

const tmpfs = (destination: string) => ({ destination, type: "tmpfs" });

Deno.test("mount points are made inside, whatever links and dots the image has on the way", async () => {
  await withOutside(async (harness, outside) => {
    const { rootfs } = harness;
    Deno.symlinkSync(outside, `${rootfs}/absolute`);
    Deno.symlinkSync("../../outside", `${rootfs}/relative`);
    Deno.symlinkSync(`/proc/1/root${outside}`, `${rootfs}/magic`);
    Deno.mkdirSync(`${rootfs}/a/b`, { recursive: true });
    Deno.symlinkSync("../../../../../../../..", `${rootfs}/a/b/up`);
    const places = ["/absolute/x", "/relative/x", `/a/b/up${outside}/y`, `/../../..${outside}/z`];
    const printed = await harness.output(`ls -d ${outside}/* /outside/x`, (spec) => {
      spec.mounts?.push(...places.map(tmpfs));
    });
    assert.deepEqual(printed.split("\n").sort(), [
      "/outside/x",
      ...["x", "y", "z"].map((name) => `${outside}/${name}`),
    ]);
  });
});

Deno.test("a magic link is no way to a mount point, a device, or a working folder", async () => {
  await withOutside(async (harness, outside) => {
    const { rootfs } = harness;
    Deno.symlinkSync(`/proc/self/cwd`, `${rootfs}/magic`);
    Deno.symlinkSync(`/proc/self/fd/3`, `${rootfs}/descriptor`);
    Deno.symlinkSync(`/proc/1/root`, `${rootfs}/root`);
    const changes: ((spec: Spec) => void)[] = [
      (spec) => spec.mounts?.push(tmpfs("/magic/x")),
      (spec) => spec.mounts?.push({ destination: "/root/x", source: `${outside}/secret`, options: ["bind"] }),
      (spec) => spec.process.cwd = "/descriptor",
      (spec) => spec.process.cwd = "/proc/self/fd/5",
      (spec) => spec.process.cwd = "/magic",
      (spec) => spec.linux = { ...spec.linux, devices: [{ path: "/root/x", type: "p" }] },
      (spec) => spec.linux = { ...spec.linux, maskedPaths: ["/root/etc/passwd"] },
      (spec) => spec.linux = { ...spec.linux, readonlyPaths: ["/magic"] },
    ];
    for (const change of changes) {
      await assert.rejects(harness.sh("true", change), /: (ELOOP|ENOENT)$/, String(change));
    }
  });
});

Deno.test("proc and sysfs are only mounted on real folders", async () => {
  await using harness = new Harness();
  Deno.mkdirSync(`${harness.rootfs}/real`);
  Deno.removeSync(`${harness.rootfs}/proc`);
  Deno.symlinkSync("real", `${harness.rootfs}/proc`);
  await assert.rejects(harness.sh("true"), { message: "open mount point /proc: ELOOP" });
});

Deno.test("the old root cannot be reached", async () => {
  await withOutside(async (harness, outside) => {
    const script =
      `cd /; for i in 1 2 3 4 5; do cd ..; done; ls .${outside} 2>/dev/null; ls /proc/1/root${outside} 2>/dev/null
      grep -c . /proc/self/mountinfo; ls /proc/self/fd | wc -l`;
    assert.equal(await harness.output(script), "3\n4");
  });
});

Deno.test("a process of a pod cannot look into a child that is being made", async () => {
  await using harness = new Harness();
  await using first = await harness.create(specOf(harness.rootfs, ["sleep", "30"]));
  await first.container.start();
  using namespace = new OwnedFd(openFd(`/proc/${first.container.init.pid}/ns/pid`, O.RDONLY));
  const second = specOf(harness.rootfs, ["sleep", "30"]);
  await using waiting = await harness.create(second, { pid: namespace.fd });
  const some = ["CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE", "CAP_KILL"];
  const { stdout } = await first.exec({
    args: [
      "sh",
      "-c",
      "for f in root exe cwd fd/0; do readlink /proc/2/$f > /dev/null && echo $f; done; cat /proc/2/comm; cat /proc/2/maps 2>/dev/null | wc -c",
    ],
    capabilities: { bounding: some, effective: some, permitted: some },
  });
  const comm = Deno.readTextFileSync(`/proc/${waiting.container.init.pid}/comm`).trim();
  assert.deepEqual(stdout.trim().split("\n"), [comm, "0"]);
});

Deno.test("a process does not become the agent by way of /proc/self/exe", async () => {
  await using harness = new Harness();
  for (const program of ["/proc/self/exe", "/proc/1/exe"]) {
    await assert.rejects(harness.run(specOf(harness.rootfs, [program])), {
      message: `exec: "${program}": permission denied`,
    });
  }
});

Deno.test("a script that the agent is to interpret gives the image no way to write to the agent", async () => {
  await using harness = new Harness();
  const { rootfs } = harness;
  for (const path of ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"]) {
    Deno.mkdirSync(`${rootfs}/${path.split("/")[0]}`, { recursive: true });
    await buildInterpreter(`${rootfs}/${path}`);
  }
  Deno.writeTextFileSync(`${rootfs}/bin/evil`, "#!/proc/self/exe\n");
  Deno.chmodSync(`${rootfs}/bin/evil`, 0o755);
  const { stdout } = await harness.run(specOf(rootfs, ["evil"]));
  // ETXTBSY: the first process of a guest never ends.
  assert.equal(stdout, `${Deno.realPathSync(Deno.execPath())} -26`);
});

Deno.test("a passwd file that is something else is not read", async () => {
  await using harness = new Harness();
  const passwd = `${harness.rootfs}/etc/passwd`;
  const home = () => harness.output("echo $HOME");
  Deno.removeSync(passwd);
  Deno.symlinkSync("/dev/zero", passwd);
  assert.equal(await home(), "/");
  Deno.removeSync(passwd);
  Deno.mkdirSync(passwd);
  assert.equal(await home(), "/");
  Deno.removeSync(passwd);
  Deno.writeTextFileSync(`${harness.folder}/passwd`, "root:x:0:0::/outside:");
  Deno.symlinkSync("../../passwd", passwd);
  assert.equal(await home(), "/");
});

Deno.test("a container cannot leave its cgroup by way of its cgroup mount", async () => {
  await using harness = new Harness();
  const printed = await harness.output(
    "{ echo $$ > /sys/fs/cgroup/../cgroup.procs; } 2>/dev/null; cat /proc/self/cgroup | grep ^0",
    (spec) => {
      spec.mounts?.push({ destination: "/sys", type: "sysfs" }, {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
      });
    },
  );
  assert.equal(printed, "0::/");
});
