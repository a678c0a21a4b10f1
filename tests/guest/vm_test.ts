import assert from "node:assert/strict";
import { Harness } from "../../agent/container/testing/harness.ts";
import { SharedFolder } from "../../fs/share.ts";
import { startVirtiofsd } from "../../fs/virtiofsd.ts";
import { AgentClient } from "../../sandbox/guest/agent_client.ts";
import { silentLog } from "../../sandbox/log/log.ts";
import { killProcess } from "../../sys/process.ts";
import { findExecutable } from "../../sys/spawn.ts";
import type { Vm, VmConfig } from "../../vm/vmm.ts";
import { Guest, SHARE_POINT, SHARE_TAG } from "./harness.ts";

/** A shared folder and its daemon, and the configuration of a VM that uses them. */
async function sharedByVirtioFs(folder: string): Promise<
  AsyncDisposable & {
    readonly share: SharedFolder;
    readonly daemon: Awaited<ReturnType<typeof startVirtiofsd>>;
    change(config: VmConfig): VmConfig;
  }
> {
  await using taken = new AsyncDisposableStack();
  const share = taken.use(await SharedFolder.prepare("pod", `${folder}/share`));
  const socketPath = `${folder}/fs.sock`;
  const daemon = taken.use(
    await startVirtiofsd({
      path: "",
      sharedDir: share.exported,
      socketPath,
      cache: "auto",
      extraArgs: ["--announce-submounts"],
      onLog: () => {},
    }),
  );
  const owned = taken.move();
  return {
    share,
    daemon,
    change: (config) => ({
      ...config,
      agentTransport: "virtio-serial",
      share: { kind: "virtio-fs", tag: SHARE_TAG, socketPath, queueSize: 1024 },
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

Deno.test("a guest with virtio-fs", async (t) => {
  await using machine = new Harness();
  await using host = await sharedByVirtioFs(machine.folder);
  await using guest = await Guest.boot({ change: host.change });
  await guest.agent.createSandbox({
    sandboxId: "pod",
    storages: [{ driver: "virtio-fs", fstype: "virtiofs", source: SHARE_TAG, mountPoint: SHARE_POINT }],
  });
  const data = `${machine.folder}/data`;
  await Deno.writeTextFile(data, "from the host\n");

  await t.step("sees what is added to the shared folder after it booted, read-only where asked", async () => {
    const path = await host.share.addRootfs("c1", machine.rootfs);
    const mount = (readonly: boolean) =>
      host.share.addMount("c1", { source: data, destination: "/d", readonly });
    const [fixed, open] = [await mount(true), await mount(false)];
    const readAhead = "sort -u /sys/class/bdi/*/read_ahead_kb | grep 2048";
    const script = `${readAhead}; ` +
      "cat /fixed; echo no > /fixed || echo refused; echo from the guest > /open; echo new > /new";
    await guest.run("c1", ["sh", "-c", `${script}; cat /open`], (spec) => {
      spec.root = { path };
      spec.mounts?.push({ destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] });
      for (const [destination, source] of [["/fixed", fixed], ["/open", open]] as const) {
        spec.mounts?.push({ destination, type: "bind", source, options: ["bind"] });
      }
    });
    const output = await guest.readAll("c1");
    assert.deepEqual(output.trim().split("\n"), ["2048", "from the host", "refused", "from the guest"]);
    assert.equal(await Deno.readTextFile(data), "from the guest\n");
    assert.equal(await Deno.readTextFile(`${machine.rootfs}/new`), "new\n");
    await guest.agent.waitProcess({ containerId: "c1" });
    await guest.agent.removeContainer({ containerId: "c1" });
    await host.share.remove("c1");
  });

  await t.step("is silent while it is paused, and answers when it goes on", async () => {
    await guest.vm.pause();
    let answered = false;
    const answer = guest.health.check({}).then(() => answered = true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(answered, false);
    await guest.vm.resume();
    await answer;
  });

  await t.step("goes on when its virtiofsd is killed, which is told", async () => {
    killProcess(host.daemon.pid, 9);
    assert.match((await host.daemon.exited).message, /^virtiofsd was killed by SIGKILL/);
    await guest.health.check({});
  });
});

Deno.test("a guest without an init panics, and its VM tells why", async () => {
  const boot = Guest.boot({ change: (config) => ({ ...config, kernelParams: ["rdinit=/nonexistent"] }) });
  await assert.rejects(
    boot,
    /the guest's kernel panicked: No working init found\. .*; (on its console before|there was nothing)/,
  );
});

/** The transports that this host has, beside the serial port that the other tests use. */
async function otherTransports(): Promise<NonNullable<VmConfig["agentTransport"]>[]> {
  const inKernel = await Deno.stat("/dev/vhost-vsock").then(() => true, () => false);
  return [
    ...(inKernel ? ["vsock" as const] : []),
    ...(hasVhostUserVsock() ? ["vhost-user-vsock" as const] : []),
  ];
}

function hasVhostUserVsock(): boolean {
  try {
    return findExecutable("vhost-device-vsock", Deno.env.get("PATH")) !== "";
  } catch {
    return false;
  }
}

for (const agentTransport of await otherTransports()) {
  Deno.test(`a guest's agent is reached by ${agentTransport}, over several connections`, async () => {
    await using guest = await Guest.boot({ change: (config) => ({ ...config, agentTransport }) });
    assert.equal(guest.vm.agentTransport, agentTransport);
    const second = await connect(guest.vm);
    await Promise.all([second.health.check({}), guest.health.check({})]);
    second.close();
    await second.closed;
    await guest.health.check({});
  });
}

async function connect(vm: Vm): Promise<AgentClient> {
  return await AgentClient.connect(vm, {
    dialTimeoutMs: 180_000,
    signal: new AbortController().signal,
    log: silentLog,
  });
}
