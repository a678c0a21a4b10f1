/**
 * Rows about the pod's network: what it takes to bring bytes to a pod and back, against the same machine with a tap that
 * was given to it by hand, without a namespace, a veth and redirection in between.
 *
 * @module
 */

import { isolateMounts } from "../../cmd/runtime/run/mount_namespace.ts";
import { loadConfig } from "../../config/load.ts";
import type { Spec } from "../../oci/spec.ts";
import type { Container } from "../../sandbox/container.ts";
import { createSandbox } from "../../sandbox/create_sandbox.ts";
import type { Host } from "../../sandbox/host.ts";
import { noIo } from "../../sandbox/io/streams.ts";
import { silentLog } from "../../sandbox/log/log.ts";
import { realHost } from "../../sandbox/real_host.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { TestNamespace } from "../../sys/test_helpers.ts";
import { openTap } from "../../sys/tun.ts";
import { median } from "./measure.ts";
import type { SandboxBench } from "./sandbox.ts";
import { specOf } from "./spec.ts";
import type { Row } from "./table.ts";

const MIB = 128;
const ROUNDS = 5;
const PORT = 9000;
/** The budget is a throughput of 0.9, and what is measured is time. */
const BUDGET = 1 / 0.9;
const MAC = "02:00:00:00:00:42";

/** A machine, and the address of each end of its network. */
interface End extends AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly pod: string;
  readonly host: string;
}

/** The same bytes in turn over each of the two. */
export async function networkRows(bench: SandboxBench): Promise<Row[]> {
  isolateMounts();
  using outside = new TestNamespace();
  await outside.ip("link set lo up");
  await using ours = await throughVeth(bench, outside);
  await using byHand = await tapByHand(bench, outside);
  const args = [`--net=${outside.path}`, "busybox", "sh", "-c", serving(bench.folder, "busybox httpd")];
  const server = new Deno.Command("nsenter", { args, stdin: "null" }).spawn();
  try {
    for (const end of [ours, byHand]) {
      await start(bench, end.sandbox, "server", serving("/dev/shm", "httpd"));
      await answering(outside, end.pod);
    }
    return await measured(bench, outside, ours, byHand);
  } finally {
    server.kill("SIGKILL");
    await server.status;
  }
}

async function measured(bench: SandboxBench, outside: TestNamespace, ours: End, byHand: End): Promise<Row[]> {
  const rows: Row[] = [];
  const ways = { "128 MiB from the host to a pod": toPod, "128 MiB from a pod to the host": toHost };
  for (const [what, way] of Object.entries(ways)) {
    await way(bench, outside, ours, "warm-up");
    await way(bench, outside, byHand, "warm-up");
    const pairs: { ours: number; reference: number }[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const first = await way(bench, outside, ours, `round-${i}`);
      pairs.push({ ours: first, reference: await way(bench, outside, byHand, `round-${i}`) });
    }
    rows.push({
      what,
      value: median(pairs.map(({ ours }) => ours)),
      reference: median(pairs.map(({ reference }) => reference)),
      unit: "s",
      figure: median(pairs.map(({ ours, reference }) => ours / reference)),
      budget: Math.round(BUDGET * 100) / 100,
      referenceName: "a tap given to QEMU by hand",
    });
  }
  return rows;
}

/** As a network plug-in sets it up, joined by the product. */
async function throughVeth(bench: SandboxBench, outside: TestNamespace): Promise<End> {
  const space = new TestNamespace();
  await space.ip(
    `link add eth0 address ${MAC} type veth peer name cable`,
    `link set cable netns ${outside.path}`,
    "address add 10.1.0.2/24 dev eth0",
    "link set eth0 up",
  );
  await outside.ip("address add 10.1.0.1/24 dev cable", "link set cable up");
  const sandbox = await boot(bench, "bench-net-ours", realHost, space.path);
  return {
    sandbox,
    pod: "10.1.0.2",
    host: "10.1.0.1",
    async [Symbol.asyncDispose]() {
      await sandbox[Symbol.asyncDispose]();
      space[Symbol.dispose]();
    },
  };
}

/** The same machine, with a tap outside that nothing was made for but its addresses. */
async function tapByHand(bench: SandboxBench, outside: TestNamespace): Promise<End> {
  const [tap] = openTap({ name: "byhand", queues: 1, namespace: outside.fd, exclusive: true });
  if (tap === undefined) throw new Error("a tap has at least one queue");
  await outside.ip("address add 10.2.0.1/24 dev byhand", "link set byhand up");
  const nics = [{ id: "net0", mac: MAC, backend: { kind: "tap", fds: [tap.fd], vhostFds: [] } }] as const;
  const host: Host = { ...realHost, startVm: (config) => realHost.startVm({ ...config, nics }) };
  const sandbox = await boot(bench, "bench-net-hand", host);
  tap.close();
  await script(bench, sandbox, "address", "ip address add 10.2.0.2/24 dev eth0; ip link set eth0 up");
  return {
    sandbox,
    pod: "10.2.0.2",
    host: "10.2.0.1",
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

async function boot(bench: SandboxBench, id: string, host: Host, netns?: string): Promise<Sandbox> {
  const { config } = await loadConfig({ explicit: `${bench.dist}/configuration.toml` });
  return await createSandbox({
    id,
    spec: networkSpec(bench, id, ["true"], netns),
    config,
    log: silentLog,
    host,
  });
}

/** One that may look at its links. */
function networkSpec(bench: SandboxBench, id: string, args: readonly string[], netns?: string): Spec {
  const spec = specOf(bench, id, args, { ...(netns !== undefined && { netns }) });
  const all = ["bounding", "effective", "permitted"].map((set) => [set, ["CAP_NET_ADMIN"]]);
  return { ...spec, process: { ...spec.process, capabilities: Object.fromEntries(all) } };
}

/** Runs a shell script in a guest, to its end. */
async function script(bench: SandboxBench, sandbox: Sandbox, id: string, text: string): Promise<void> {
  const container = await start(bench, sandbox, id, text);
  const { status } = await container.init.exited;
  if (status !== 0) throw new Error(`"${text}" ended with ${status}`);
  await container.delete();
}

async function start(bench: SandboxBench, sandbox: Sandbox, id: string, text: string): Promise<Container> {
  const spec = networkSpec(bench, id, ["sh", "-c", text]);
  const container = await sandbox.createContainer({ id, bundle: bench.rootfs, spec, rootfs: [], io: noIo() });
  await container.start();
  return container;
}

/** A file of zeros that takes no room, in a folder, and a server of that folder. */
function serving(folder: string, httpd: string): string {
  return `dd if=/dev/zero of=${folder}/zeros bs=1 count=0 seek=${MIB}M 2>/dev/null; exec ${httpd} -f -p ${PORT} -h ${folder}`;
}

const fetching = (ip: string) => `wget -q -O /dev/null http://${ip}:${PORT}/zeros`;

/** @returns seconds that a program in the pod takes to get the file from the host */
async function toPod(bench: SandboxBench, _outside: TestNamespace, end: End, id: string): Promise<number> {
  const started = performance.now();
  await script(bench, end.sandbox, id, fetching(end.host));
  return (performance.now() - started) / 1000;
}

/** @returns seconds that a program of the host takes to get the file from the pod */
async function toHost(_bench: SandboxBench, outside: TestNamespace, end: End): Promise<number> {
  const started = performance.now();
  await outside.run("busybox", ...fetching(end.pod).split(" "));
  return (performance.now() - started) / 1000;
}

/** Waits until a server answers. */
async function answering(outside: TestNamespace, ip: string): Promise<void> {
  const head = `until busybox wget -q --spider http://${ip}:${PORT}/zeros; do sleep 0.1; done`;
  await outside.run("timeout", "30", "sh", "-c", head);
}
