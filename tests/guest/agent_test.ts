import assert from "node:assert/strict";
import { Harness } from "../../agent/container/testing/harness.ts";
import { processOf } from "../../agent/container/testing/harness.ts";
import { processToWire } from "../../oci/wire.ts";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { serviceClient } from "../../rpc/ttrpc/typed.ts";
import { Guest } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";
const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("a guest boots, runs a container from a shared folder, and switches itself off", async () => {
  await using machine = new Harness();
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  const { agentDetails, memBlockSizeBytes } = await guest.agent.getGuestDetails({ memBlockSize: true });
  assert.equal(agentDetails?.initDaemon, true);
  assert.ok(memBlockSizeBytes > 0n);
  await guest.createSandbox();

  await guest.run("c1", ["sh", "-c", "uname -r; hostname; cat /proc/self/cgroup; ls /; exit 7"]);
  const [release, host, cgroup, ...files] = (await guest.readAll("c1")).trimEnd().split("\n");
  assert.equal((await guest.agent.waitProcess({ containerId: "c1" })).status, 7);
  assert.notEqual(release, Deno.osRelease());
  assert.deepEqual([host, cgroup], ["pod-host", "0::/"]);
  assert.deepEqual(files, ["bin", "dev", "etc", "proc", "sys", "tmp"]);
  await guest.agent.removeContainer({ containerId: "c1" });

  const exit = await guest.powerOff();
  assert.deepEqual([exit.cause, exit.status], ["shutdown", { code: 0, signal: 0 }]);
});

Deno.test("what containers may do and need in a guest works there", async (t) => {
  await using machine = new Harness();
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  const { agent } = guest;
  await guest.createSandbox();
  await guest.run("main", ["sleep", "1000"], (spec) => {
    spec.mounts?.push({
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["newinstance", "ptmxmode=0666"],
    });
  });

  await t.step("limits are enforced and counted", async () => {
    await guest.run("limited", ["sh", "-c", "cat; sleep 1000"], (spec) => {
      spec.linux = { ...spec.linux, resources: { memory: { limit: 64 << 20 }, pids: { limit: 20 } } };
    });
    const { cgroupStats } = await agent.statsContainer({ containerId: "limited" });
    assert.equal(cgroupStats?.memoryStats?.usage?.limit, BigInt(64 << 20));
    assert.equal(cgroupStats?.pidsStats?.limit, 20n);
    assert.ok((cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n);
  });

  await t.step("a container that the out-of-memory killer strikes is reported", async () => {
    const event = agent.getOOMEvent({});
    await guest.run(
      "hungry",
      ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1; exit 0"],
      (spec) => {
        spec.linux = { ...spec.linux, resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } };
      },
    );
    assert.equal((await event).containerId, "hungry");
    await agent.removeContainer({ containerId: "hungry" });
  });

  await t.step("a terminal is there, also for an executed process", async () => {
    const process = {
      ...processOf(["sh", "-c", "tty; read x; stty size; echo got:$x"]),
      terminal: true,
    };
    await agent.execProcess({ containerId: "main", execId: "tty", process: processToWire(process) });
    await agent.ttyWinResize({ containerId: "main", execId: "tty", row: 33, column: 111 });
    await agent.writeStdin({ containerId: "main", execId: "tty", data: encode("line\n") });
    let text = "";
    while (!text.endsWith("got:line\r\n")) {
      text += new TextDecoder().decode(
        (await agent.readStdout({ containerId: "main", execId: "tty", len: 999 })).data,
      );
    }
    assert.match(text, /^\/dev\/pts\/\d+\r$/m);
    assert.match(text, /^33 111\r$/m);
    assert.equal((await agent.waitProcess({ containerId: "main", execId: "tty" })).status, 0);
  });

  await t.step("a paused container stands still", async () => {
    await guest.run("clock", ["sh", "-c", "while :; do echo tick; sleep 0.1; done"]);
    let bytes = 0;
    const count = async () => {
      for (;;) {
        const answer = await agent.readStdout({ containerId: "clock", len: 4096 }).catch(() => undefined);
        if (!answer) return;
        bytes += answer.data.length;
      }
    };
    const counting = count();
    const sleep = async (execId: string) => {
      await agent.execProcess({
        containerId: "main",
        execId,
        process: processToWire(processOf(["sleep", "0.5"])),
      });
      await agent.waitProcess({ containerId: "main", execId });
    };
    await agent.pauseContainer({ containerId: "clock" });
    // What was written before the pause comes first.
    await sleep("first");
    const before = bytes;
    await sleep("second");
    assert.equal(bytes, before);
    await agent.resumeContainer({ containerId: "clock" });
    await sleep("third");
    assert.ok(bytes > before);
    await agent.removeContainer({ containerId: "clock" });
    await counting;
  });

  await t.step("memory is a filesystem of the size that was asked for", async () => {
    const mountPoint = "/run/kata-containers/sandbox/scratch";
    const storage = { driver: "ephemeral", fstype: "tmpfs", options: ["size=4m"], mountPoint };
    const { specToWire } = await import("../../oci/wire.ts");
    const { specOf } = await import("../../agent/container/testing/harness.ts");
    const spec = specOf("/run/kata-containers/shared/containers/rootfs", [
      "sh",
      "-c",
      "df -m /scratch | tail -1; sleep 100",
    ]);
    spec.mounts?.push({ destination: "/scratch", type: "bind", source: mountPoint, options: ["rbind"] });
    await agent.createContainer({ containerId: "scratch", storages: [storage], OCI: specToWire(spec) });
    const { usage } = await agent.getVolumeStats({ volumeGuestPath: mountPoint });
    assert.equal(usage[0]?.total, BigInt(4 << 20));
    await agent.removeContainer({ containerId: "scratch" });
    await assert.rejects(agent.getVolumeStats({ volumeGuestPath: mountPoint }), /ENOENT/);
  });

  await t.step("the clock and the random numbers are the host's to set", async () => {
    await agent.setGuestDateTime({ Sec: 2_000_000_000n, Usec: 5n });
    await agent.reseedRandomDev({ data: crypto.getRandomValues(new Uint8Array(32)) });
    await agent.execProcess({
      containerId: "main",
      execId: "date",
      process: processToWire(processOf(["sh", "-c", "touch /dev/now; stat -c %Y /dev/now"])),
    });
    const answer = await agent.readStdout({ containerId: "main", execId: "date", len: 100 });
    const seconds = Number(new TextDecoder().decode(answer.data));
    assert.ok(seconds >= 2_000_000_000 && seconds < 2_000_001_000, String(seconds));
  });

  await t.step("files arrive below the agent's folder and nowhere else", async () => {
    const file = { fileSize: 5n, fileMode: 0o100600, dirMode: 0o755, data: encode("hello") };
    await agent.copyFile({ ...file, path: "/run/kata-containers/copied/file" });
    await assert.rejects(agent.copyFile({ ...file, path: "/etc/copied" }), /must be a path below/);
  });

  await t.step("the loopback is up, and what there is of interfaces and routes is listed", async () => {
    const { Interfaces } = await agent.listInterfaces({});
    assert.ok(
      Interfaces.find(({ name }) => name === "lo")?.IPAddresses.some(({ address }) =>
        address === "127.0.0.1"
      ),
    );
    assert.deepEqual((await agent.listRoutes({})).Routes, []);
    await agent.onlineCPUMem({ nbCpus: 1 });
  });
});

Deno.test("megabytes go through a container over a virtio-serial port and arrive whole", async () => {
  await using machine = new Harness();
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  await guest.createSandbox();
  await guest.run("cat", ["cat"]);
  const chunk = crypto.getRandomValues(new Uint8Array(32768));
  const chunks = 256;
  const write = async () => {
    for (let i = 0; i < chunks; i++) await guest.agent.writeStdin({ containerId: "cat", data: chunk });
    await guest.agent.closeStdin({ containerId: "cat" });
  };
  let received = 0;
  const read = async () => {
    for (;;) {
      const answer = await guest.agent.readStdout({ containerId: "cat", len: 65536 }).catch(() => undefined);
      if (!answer) return;
      for (const byte of answer.data) {
        if (byte !== chunk[received++ % chunk.length]) assert.fail(`byte ${received}`);
      }
    }
  };
  await Promise.all([write(), read()]);
  assert.equal(received, chunks * chunk.length);
});

Deno.test("an agent that cannot start says why on the console, and the guest ends", async () => {
  const booted = Guest.boot({ agentParams: ["agent.server_addr=nonsense"] });
  await assert.rejects(
    booted,
    /the guest does not answer: .*"agent\.server_addr" must be "vsock:.*: it is "nonsense"/,
  );
});

Deno.test("clients come and go on a virtio-serial port, each with a connection of its own", async () => {
  await using machine = new Harness();
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  await guest.createSandbox();
  await guest.run("c1", ["sh", "-c", "while read line; do echo got:$line; done; sleep 1000"]);
  // Somebody who waits for output, and one whose last request was cut off in the middle.
  guest.agent.readStdout({ containerId: "c1", len: 100 }).catch(() => {});
  await guest.agent.closeStdin({ containerId: "none" }).catch(() => {});
  await guest.disconnect();
  // The guest hears of the end of a connection a moment later; without one that ends inside a frame is not told apart.
  const noticed = () => new Promise((resolve) => setTimeout(resolve, 4000));
  const broken = await guest.vm.connectAgent();
  await broken.write(new Uint8Array([0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 10, 11]));
  await noticed();
  broken.close();
  await noticed();
  // Others may follow at once.
  for (let i = 0; i < 3; i++) {
    using client = new TtrpcClient(await guest.vm.connectAgent());
    const agent = serviceClient(AgentService, client);
    await agent.writeStdin({ containerId: "c1", data: encode(`${i}\n`) });
    const answer = await agent.readStdout({ containerId: "c1", len: 100 });
    assert.equal(new TextDecoder().decode(answer.data), `got:${i}\n`);
    client.close();
    await client.closed;
  }
});

/** Methods that are meant to block, or to end the guest. */
const NOT_FOR_NOISE = ["GetOOMEvent", "DestroySandbox"];

Deno.test("requests of any bytes are answered, and harm nobody", async () => {
  await using machine = new Harness();
  await using guest = await Guest.boot({
    share: machine.folder,
    agentParams: [SERIAL, "agent.log=critical"],
  });
  await guest.createSandbox();
  await guest.run("c1", ["cat"]);
  // Always the same bytes: what fails once fails again.
  let seed = 20_240_229;
  const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  const name = new Uint8Array([10, 2, 99, 49]); // field 1: "c1"
  for (const { name: method } of Object.values(AgentService.methods)) {
    if (NOT_FOR_NOISE.includes(method)) continue;
    const calls = Array.from({ length: 12 }, (_, i) => {
      const noise = Uint8Array.from({ length: random(60) }, () => random(256));
      const bytes = i % 2 === 0 ? noise : new Uint8Array([...name, ...noise.subarray(0, random(8))]);
      return guest.call(AgentService.typeName, method, bytes);
    });
    await Promise.all(calls);
  }
  assert.equal((await guest.health.check({})).status, 1);
  await guest.run("c2", ["echo", "alive"]);
  assert.equal(await guest.readAll("c2"), "alive\n");
});
