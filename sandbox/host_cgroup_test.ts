import assert from "node:assert/strict";
import { Code, RpcError } from "../rpc/errors.ts";
import { readMountinfo } from "../sys/mountinfo.ts";
import type { ChildProcess } from "../sys/process.ts";
import { spawn } from "../sys/spawn.ts";
import { replay } from "./cleanup.ts";
import { createSandbox } from "./create_sandbox.ts";
import { HostCgroup, hostCgroupPath, removeCgroups } from "./host_cgroup.ts";
import { silentLog } from "./log.ts";
import { bootId, identify } from "./process_identity.ts";
import { FakeHost, testConfig, testSpec } from "./testing/fake_host.ts";

/** Runs with a cgroup of the test's own, which must be empty afterwards. */
async function withRoot(use: (root: string) => Promise<void>): Promise<void> {
  const mount = readMountinfo().find(({ fstype }) => fstype === "cgroup2")?.mountPoint;
  assert.ok(mount, "no cgroup2 file system is mounted on this machine");
  const root = `${mount}/kata-test-${crypto.randomUUID().slice(0, 8)}`;
  Deno.mkdirSync(root);
  try {
    await use(root);
    assert.deepEqual([...Deno.readDirSync(root)].filter(({ isDirectory }) => isDirectory), []);
  } finally {
    await removeCgroups([root], silentLog);
  }
  assert.throws(() => Deno.statSync(root), Deno.errors.NotFound);
}

/** An owner with a child that it starts as soon as it gets a line, and whose pid it tells. */
function owner(): Deno.ChildProcess {
  const args = ["-c", "read line; sleep 1000 & echo $!; wait"];
  return new Deno.Command("/bin/sh", { args, stdin: "piped", stdout: "piped" }).spawn();
}

async function startChild(shell: Deno.ChildProcess): Promise<number> {
  const writer = shell.stdin.getWriter();
  await writer.write(new TextEncoder().encode("\n"));
  await writer.close();
  const reader = shell.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return Number(new TextDecoder().decode(value));
}

function sleeper(): Promise<ChildProcess> {
  return spawn({ argv: ["/bin/sleep", "1000"] });
}

function cgroupOf(pid: number): string {
  return /^0::(.*)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/cgroup`))?.[1] ?? "";
}

const options = { log: silentLog, save: () => Promise.resolve() };

Deno.test("a sandbox's cgroup is beside the one that its container would have", () => {
  assert.equal(hostCgroupPath("/kubepods/pod1/abc"), "kubepods/pod1/kata_abc");
  assert.equal(hostCgroupPath("/a/./b//c/"), "a/b/kata_c");
  assert.equal(hostCgroupPath("a/b"), "vc/a/kata_b");
  assert.equal(
    hostCgroupPath("kubepods-burstable-pod1_2.slice:cri-containerd:abc"),
    "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-abc.scope",
  );
  assert.equal(hostCgroupPath(":p:n"), "system.slice/p-n.scope");
  assert.equal(hostCgroupPath("-.slice::n"), "n.scope");
  for (const path of [undefined, "", "/", "..", "/a/../b", "/a/..", "x:p:n"]) {
    assert.throws(() => hostCgroupPath(path), { code: Code.InvalidArgument }, path);
  }
});

Deno.test("an owner enters a cgroup, its processes are born in it, and it is removed with the sandbox", async () => {
  await withRoot(async (root) => {
    const shell = owner();
    const before = cgroupOf(shell.pid);
    const saved: (readonly string[])[] = [];
    let child = 0;
    try {
      await using cgroup = await HostCgroup.enter({
        ...options,
        cgroupsPath: "/pod/x",
        root,
        pid: shell.pid,
        save: (folders) => {
          assert.throws(() => Deno.statSync(`${root}/pod`), "it is saved before it is made");
          saved.push(folders);
          return Promise.resolve();
        },
      });
      assert.equal(cgroup.path, `${root}/pod/kata_x`);
      assert.deepEqual(saved, [[`${root}/pod`, `${root}/pod/kata_x`]]);
      child = await startChild(shell);
      for (const pid of [shell.pid, child]) assert.match(cgroupOf(pid), /\/pod\/kata_x$/);
      await assert.rejects(
        HostCgroup.enter({ ...options, cgroupsPath: "/pod/x", root, pid: shell.pid }),
        (error) => error instanceof RpcError && /has processes already$/.test(error.message),
      );
      assert.match(cgroupOf(child), /\/pod\/kata_x$/, "another's processes are left where they are");
    } finally {
      if (child > 0) assert.doesNotMatch(cgroupOf(child), /kata_x/);
      assert.equal(cgroupOf(shell.pid), before);
      if (child > 0) Deno.kill(child, "SIGKILL");
      shell.kill("SIGKILL");
      await shell.status;
    }
  });
});

Deno.test("cgroups above that others have made or use are left", async () => {
  await withRoot(async (root) => {
    Deno.mkdirSync(`${root}/pod`);
    await using one = await sleeper();
    await using two = await sleeper();
    const first = await HostCgroup.enter({ ...options, cgroupsPath: "/pod/x", root, pid: one.pid });
    await first[Symbol.asyncDispose]();
    assert.deepEqual([...Deno.readDirSync(`${root}/pod`)].filter(({ isDirectory }) => isDirectory), []);
    Deno.removeSync(`${root}/pod`);

    const relative = { ...options, root };
    const third = await HostCgroup.enter({ ...relative, cgroupsPath: "x", pid: one.pid });
    const fourth = await HostCgroup.enter({ ...relative, cgroupsPath: "y", pid: two.pid });
    await third[Symbol.asyncDispose]();
    assert.match(cgroupOf(two.pid), /\/vc\/kata_y$/);
    await fourth[Symbol.asyncDispose]();
  });
});

Deno.test("what a dead owner left is removed by the saved state, whoever is in it, and once more", async () => {
  await withRoot(async (root) => {
    await using process = await sleeper();
    let cgroups: readonly string[] = [];
    const save = (folders: readonly string[]) => {
      cgroups = folders;
      return Promise.resolve();
    };
    await HostCgroup.enter({ ...options, cgroupsPath: "/pod/x", root, pid: process.pid, save });
    const self = identify(Deno.pid);
    assert.ok(self);
    const lists = { helpers: [], mounts: [], folders: [], containers: [] };
    const saved = {
      version: 1,
      id: "s",
      bundle: "",
      state: "running",
      bootId: bootId(),
      owner: self,
    } as const;
    for (let round = 0; round < 2; round++) await replay({ ...saved, ...lists, cgroups }, silentLog);
    assert.doesNotMatch(cgroupOf(process.pid), /kata_x/);
  });
});

Deno.test("a sandbox that has to be in a cgroup and is given none is refused before anything is taken", async () => {
  await using host = new FakeHost();
  const config = testConfig();
  config.runtime.sandbox_cgroup_only = true;
  await assert.rejects(
    createSandbox({ id: "s1", spec: testSpec(), config, log: silentLog, host, paths: host.paths }),
    { message: "sandbox_cgroup_only needs a cgroup: linux.cgroupsPath of the specification is empty" },
  );
  assert.deepEqual(host.steps, []);
  assert.deepEqual(host.left(), []);
});
