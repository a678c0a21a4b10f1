/** A thousand containers, one after the other and several at once, leave a guest as it was. */

import assert from "node:assert/strict";
import { Harness, processOf, specOf } from "../../agent/container/testing/harness.ts";
import type { Spec } from "../../oci/spec.ts";
import { processToWire, specToWire } from "../../oci/wire.ts";
import { Guest, SHARE_POINT } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";
const CONTAINERS = 1000;
/** How many are on their way at the same time. */
const AT_ONCE = 4;
/** One in so many is executed in, and one has a terminal. */
const EVERY = 20;
/** What is loaded, cached and optimised by then does not count. */
const WARM_UP = 200;
/**
 * What the guest may have less of, and the agent more of: room for the ups and downs of a collected heap, and less than
 * eight pages for each container.
 */
const ROOM_KIB = 24 << 10;

/** What there is in a guest, counted. */
interface Counts {
  readonly descriptors: number;
  readonly mounts: number;
  readonly processes: number;
  readonly cgroups: number;
  readonly files: number;
  /** KiB that are available in the guest, and that the agent has resident */
  readonly available: number;
  readonly resident: number;
}

/** Counts what the agent and the guest have, from a container that sees both. */
const LOOK = `cd /guest
  echo 3 > proc/sys/vm/drop_caches
  ls proc/1/fd | wc -l
  wc -l < proc/1/mountinfo
  ls -l proc/[0-9]*/exe 2>/dev/null | grep -c -e '->'
  find cgroup -type d | wc -l
  find run -xdev | wc -l
  sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' proc/meminfo
  sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' proc/1/status`;

function withGuest(spec: Spec): void {
  const bind = (source: string, name: string) => ({
    destination: `/guest/${name}`,
    type: "bind",
    source,
    options: ["rbind"],
  });
  spec.mounts?.push(
    bind("/proc", "proc"),
    bind("/sys/fs/cgroup", "cgroup"),
    bind("/run/kata-containers", "run"),
  );
}

async function readAll(read: (len: number) => Promise<{ data: Uint8Array }>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const answer = await read(4096).catch(() => undefined);
    if (!answer) return text;
    text += decoder.decode(answer.data, { stream: true });
  }
}

/** A guest that is looked at from inside. */
class Watched {
  #count = 0;

  constructor(readonly guest: Guest) {}

  async counts(): Promise<Counts> {
    const { agent } = this.guest;
    const execId = `look-${++this.#count}`;
    const process = processToWire(processOf(["sh", "-c", LOOK]));
    await agent.execProcess({ containerId: "watch", execId, process });
    const [text] = await Promise.all([
      readAll((len) => agent.readStdout({ containerId: "watch", execId, len })),
      // What nobody reads would be kept for a while.
      readAll((len) => agent.readStderr({ containerId: "watch", execId, len })),
    ]);
    await agent.waitProcess({ containerId: "watch", execId });
    const [descriptors, mounts, processes, cgroups, files, available, resident] = text.trim().split("\n").map(
      Number,
    );
    const counts = { descriptors, mounts, processes, cgroups, files, available, resident };
    for (const [name, value] of Object.entries(counts)) assert.ok(value, `${name} of\n${text}`);
    return counts as Counts;
  }

  /** Makes containers, runs them to their ends, removes them. */
  async makeMany(count: number): Promise<void> {
    let next = 0;
    const worker = async () => {
      while (next < count) {
        const number = next++;
        const kind = number % EVERY === 0 ? "executed in" : number % EVERY === 1 ? "terminal" : "plain";
        await this.#makeOne(`c${number}-${this.#count}`, kind);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async #makeOne(containerId: string, kind: "plain" | "executed in" | "terminal"): Promise<void> {
    const { agent } = this.guest;
    const spec = specOf(`${SHARE_POINT}/rootfs`, [kind === "executed in" ? "cat" : "true"]);
    spec.process.terminal = kind === "terminal";
    spec.linux = {
      namespaces: [{ type: "mount" }],
      maskedPaths: ["/proc/kcore"],
      readonlyPaths: ["/proc/sys"],
      resources: { memory: { limit: 64 << 20 }, devices: [{ allow: false }] },
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["reboot"], action: "SCMP_ACT_ERRNO" }],
      },
    };
    await agent.createContainer({ containerId, execId: containerId, OCI: specToWire(spec) });
    await agent.startContainer({ containerId });
    if (kind === "executed in") {
      const process = processToWire(processOf(["true"]));
      await agent.execProcess({ containerId, execId: "x", process });
      assert.equal((await agent.waitProcess({ containerId, execId: "x" })).status, 0);
      await agent.closeStdin({ containerId });
    }
    assert.equal((await agent.waitProcess({ containerId })).status, 0);
    await agent.removeContainer({ containerId });
  }
}

Deno.test("a thousand containers leave a guest's memory, descriptors, cgroups, mounts and files as they were", async () => {
  await using machine = new Harness();
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL, "agent.log=error"] });
  await guest.createSandbox();
  await guest.run("watch", ["sleep", "100000"], withGuest);
  const watched = new Watched(guest);
  await watched.makeMany(WARM_UP);
  const before = await watched.counts();
  await watched.makeMany(CONTAINERS);
  const after = await watched.counts();
  const { available, resident, ...counted } = after;
  const { available: availableBefore, resident: residentBefore, ...countedBefore } = before;
  assert.deepEqual(counted, countedBefore);
  assert.ok(
    availableBefore - available < ROOM_KIB,
    `of the guest's memory: ${availableBefore} KiB, then ${available}`,
  );
  assert.ok(
    resident - residentBefore < ROOM_KIB,
    `the agent's memory: ${residentBefore} KiB, then ${resident}`,
  );
});
