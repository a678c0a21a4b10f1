import assert from "node:assert/strict";
import { packAny } from "../../rpc/any.ts";
import { Code } from "../../rpc/errors.ts";
import { type PodSandboxConfig, PodSandboxConfigSchema } from "../../rpc/gen/cri_pb.ts";
import { create, type Init } from "../../rpc/message.ts";
import { CreateSandboxRequestSchema } from "../../rpc/gen/sandbox_pb.ts";
import { testSpec } from "../../sandbox/testing/fake_host.ts";
import { podFiles, podSpec, withPodMounts } from "./pod_spec.ts";
import { code } from "../../rpc/testing/failure.ts";
import { Bench } from "./testing/bench.ts";
import { countersIn } from "./testing/metrics.ts";

const MEMBER = { "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "s1" };

function request(bench: Bench, config: Init<PodSandboxConfig> = {}) {
  const options = packAny(PodSandboxConfigSchema, create(PodSandboxConfigSchema, config));
  return { sandboxId: "s1", bundlePath: bench.host.bundle, options };
}

Deno.test("a pod's life without a pause container", async () => {
  await using bench = new Bench();
  const { sandbox, task, host } = bench;
  await sandbox.createSandbox(request(bench, { hostname: "web", dnsConfig: { servers: ["192.0.2.1"] } }));
  assert.deepEqual(host.steps, []);
  assert.equal((await sandbox.sandboxStatus({ sandboxId: "s1" })).state, "SANDBOX_NOTREADY");
  const waiting = sandbox.waitSandbox({ sandboxId: "s1" });
  const { pid, createdAt } = await sandbox.startSandbox({ sandboxId: "s1" });
  assert((createdAt?.seconds ?? 0n) > 0n);
  const status = await sandbox.sandboxStatus({ sandboxId: "s1" });
  assert.deepEqual([status.state, status.pid, status.createdAt], ["SANDBOX_READY", pid, createdAt]);
  await sandbox.pingSandbox({ sandboxId: "s1" });
  assert.equal(await Deno.readTextFile(`${host.bundle}/resolv.conf`), "nameserver 192.0.2.1\n");

  bench.writeSpec({ ...testSpec(), annotations: MEMBER });
  assert.notEqual((await bench.create("c1")).pid, pid);
  await task.start({ id: "c1" });
  const { metrics } = await sandbox.sandboxMetrics({ sandboxId: "s1" });
  assert.equal(countersIn(metrics?.data).cpuMicroseconds, 5_000n);
  host.guest.process("c1").exit(1);
  assert.equal((await task.wait({ id: "c1" })).exitStatus, 1);
  await task.delete({ id: "c1" });
  // the last container is gone, the pod is not
  await task.shutdown({ id: "c1" });
  assert.equal((await sandbox.sandboxStatus({ sandboxId: "s1" })).state, "SANDBOX_READY");

  await sandbox.stopSandbox({ sandboxId: "s1" });
  await sandbox.stopSandbox({ sandboxId: "s1" });
  assert.equal((await waiting).exitStatus, 0);
  assert.equal((await sandbox.sandboxStatus({ sandboxId: "s1" })).state, "SANDBOX_NOTREADY");
  assert.equal(await code(sandbox.pingSandbox({ sandboxId: "s1" })), Code.Unavailable);
  await sandbox.shutdownSandbox({ sandboxId: "s1" });
  await bench.shim.exitRequested;
});

Deno.test("a server ends when its client vanishes while the pod boots", async () => {
  await using bench = new Bench();
  const { sandbox, host } = bench;
  const booting = Promise.withResolvers<void>();
  host.connect = () => {
    booting.resolve();
    return new Promise(() => {});
  };
  await sandbox.createSandbox(request(bench));
  const starting = assert.rejects(sandbox.startSandbox({ sandboxId: "s1" }));
  await booting.promise;
  bench.vanish();
  await starting;
  await bench.shim.exitRequested;
  assert.deepEqual(host.left(), []);
});

Deno.test("a pod whose machine dies is reported as ended", async () => {
  await using bench = new Bench();
  const { sandbox, task, host } = bench;
  await sandbox.createSandbox(request(bench));
  await sandbox.startSandbox({ sandboxId: "s1" });
  bench.writeSpec({ ...testSpec(), annotations: MEMBER });
  await bench.create("c1");
  await task.start({ id: "c1" });
  host.killVm("it died");
  assert.equal((await sandbox.waitSandbox({ sandboxId: "s1" })).exitStatus, 255);
  assert.equal((await task.wait({ id: "c1" })).exitStatus, 255);
  assert.equal((await sandbox.sandboxStatus({ sandboxId: "s1" })).state, "SANDBOX_NOTREADY");
  await sandbox.stopSandbox({ sandboxId: "s1" });
});

Deno.test("a pod that cannot be started leaves nothing, and is reported as ended", async () => {
  await using bench = new Bench();
  const { sandbox, host } = bench;
  host.failing.add("vm");
  await sandbox.createSandbox(request(bench));
  await assert.rejects(sandbox.startSandbox({ sandboxId: "s1" }), /vm fails/);
  assert.deepEqual(host.left(), []);
  assert.equal((await sandbox.waitSandbox({ sandboxId: "s1" })).exitStatus, 255);
  assert.equal(await code(sandbox.startSandbox({ sandboxId: "s1" })), Code.FailedPrecondition);
  await sandbox.shutdownSandbox({ sandboxId: "s1" });
});

Deno.test("bad requests about pods have the codes that containerd expects", async () => {
  await using bench = new Bench();
  const { sandbox } = bench;
  for (
    const call of [sandbox.startSandbox, sandbox.stopSandbox, sandbox.sandboxStatus, sandbox.waitSandbox]
  ) {
    assert.equal(await code(call({ sandboxId: "none" })), Code.NotFound);
  }
  const options = { typeUrl: "other.Config", value: new Uint8Array() };
  assert.equal(await code(sandbox.createSandbox({ ...request(bench), options })), Code.InvalidArgument);
  await sandbox.createSandbox(request(bench));
  assert.equal(await code(sandbox.createSandbox(request(bench))), Code.AlreadyExists);
  assert.equal((await sandbox.platform({ sandboxId: "s1" })).platform?.os, "linux");
});

Deno.test("a pod's configuration becomes the specification that a sandbox is made from", () => {
  const config = create(PodSandboxConfigSchema, {
    hostname: "web",
    annotations: { a: "b" },
    dnsConfig: {
      servers: ["192.0.2.1", "192.0.2.2"],
      searches: ["a.example", "b.example"],
      options: ["ndots:5"],
    },
    linux: {
      sysctls: { "kernel.shmmni": "5" },
      resources: { cpuPeriod: 100_000n, cpuQuota: 150_000n, memoryLimitInBytes: 1_048_576n },
    },
  });
  const request = create(CreateSandboxRequestSchema, { sandboxId: "s1", netnsPath: "/run/netns/x" });
  const resolv = { destination: "/etc/resolv.conf", type: "bind", source: "/bundle/resolv.conf" };
  const hostname = { destination: "/etc/hostname", type: "bind", source: "/bundle/hostname" };
  const spec = podSpec(request, config, [resolv, hostname]);
  assert.deepEqual(spec.annotations, {
    a: "b",
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.sandbox-cpu-period": "100000",
    "io.kubernetes.cri.sandbox-cpu-quota": "150000",
    "io.kubernetes.cri.sandbox-id": "s1",
    "io.kubernetes.cri.sandbox-memory": "1048576",
  });
  assert.deepEqual(spec.linux, {
    namespaces: [{ type: "network", path: "/run/netns/x" }],
    sysctl: { "kernel.shmmni": "5" },
  });
  const cgroupOf = (cgroupParent: string) =>
    podSpec(request, create(PodSandboxConfigSchema, { linux: { cgroupParent } }), []).linux?.cgroupsPath;
  assert.equal(cgroupOf("/kubepods/pod1"), "/kubepods/pod1/s1");
  assert.equal(cgroupOf("/kubepods.slice/kubepods-pod1.slice"), "kubepods-pod1.slice:cri-containerd:s1");
  assert.deepEqual(spec.mounts, [resolv]);
  assert.deepEqual(podFiles(config), [
    {
      destination: "/etc/resolv.conf",
      text: "search a.example b.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:5\n",
    },
    { destination: "/etc/hostname", text: "web\n" },
  ]);
  assert.deepEqual(podFiles(create(PodSandboxConfigSchema)), []);
  const own = { destination: "/etc/hostname", type: "bind", source: "/own" };
  assert.deepEqual(withPodMounts({ ...spec, mounts: [own] }, [resolv, hostname]).mounts, [own, resolv]);
});
