/**
 * Rows about files: what it takes a container to read and write a folder of the host's, against a machine that was set up
 * by hand for the same.
 *
 * @module
 */

import { isolateMounts } from "../../cmd/runtime/run/mount_namespace.ts";
import { loadConfig } from "../../config/load.ts";
import type { Mount } from "../../oci/spec.ts";
import { createSandbox } from "../../sandbox/create_sandbox.ts";
import { noIo } from "../../sandbox/io/streams.ts";
import { silentLog } from "../../sandbox/log/log.ts";
import { planMachine } from "../../sandbox/machine/plan.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { makeRootfs } from "../../tools/rootfs.ts";
import { chooseAccelerator } from "../../vm/qemu/accelerator.ts";
import { MachineByHand } from "./machine_by_hand.ts";
import type { SandboxBench } from "./sandbox.ts";
import { specOf } from "./spec.ts";
import type { Row } from "./table.ts";

const MIB = 1_048_576;
const ROUNDS = 7;
const READ_MIB = 128;
const WRITTEN_MIB = 64;
const FILES = 200;
const FOLDERS = 40;
const PER_FOLDER = 50;
/** The budget is a throughput of 0.9, and what is measured is time. */
const BUDGET = 1 / 0.9;

/**
 * `sh work.sh WHAT NAME`: does it, and writes how long it took, in microseconds, to `took-NAME`. What the guest
 * does not remove itself, virtiofsd keeps open.
 */
const WORK = `set -e
cd \${0%/*}
now() { set -- $(adjtimex | grep -o 'tv_.*'); echo $(($2*1000000+$4)); }
started=$(now)
case $1 in
  read) dd if=$2 of=/dev/null bs=1M 2>/dev/null ;;
  write) dd if=/dev/zero of=$2 bs=1M count=${WRITTEN_MIB} conv=fsync 2>/dev/null ;;
  small)
    mkdir $2
    i=0
    while [ $i -lt ${FILES} ]; do echo $i >$2/$i; i=$((i+1)); done
    for file in $2/*; do [ -f $file ]; read -r text <$file; done
    rm -r $2 ;;
  walk) find $2 -type f -size +0 >/dev/null ;;
esac
echo $(($(now)-started)) >took-$2
rm -rf $2
`;

/** A kind of work, and what the host puts there for it beforehand. */
interface Kind {
  readonly what: string;
  readonly prepare?: (path: string) => Promise<void>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  read: { what: `${READ_MIB} MiB read from a volume`, prepare: writeLarge },
  write: { what: `${WRITTEN_MIB} MiB written to a volume and synced` },
  small: { what: `${FILES} small files of a volume: made, looked at, read, removed` },
  walk: { what: `find in a volume with ${FOLDERS * PER_FOLDER} files`, prepare: writeTree },
};

/** A side of the comparison: a folder of the host, and how to work in it. */
interface Side {
  readonly folder: string;
  work(what: string, name: string): Promise<void>;
}

/** The same work in turn on each of the two. */
export async function fileRows(bench: SandboxBench): Promise<Row[]> {
  isolateMounts();
  const { config } = await loadConfig({ explicit: `${bench.dist}/configuration.toml` });
  const [podFolder, shared] = [`${bench.folder}/files-of-pod`, `${bench.folder}/files-by-hand`];
  const handFolder = `${shared}/data`;
  for (const folder of [podFolder, handFolder]) {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(`${folder}/work.sh`, WORK);
  }
  await makeRootfs(`${shared}/rootfs`);
  await Deno.mkdir(`${shared}/rootfs/data`);
  const id = "bench-files";
  const spec = specOf(bench, id, ["true"], { mounts: [volume(podFolder)] });
  await using sandbox = await createSandbox({ id, spec, config, log: silentLog });
  await using machine = await MachineByHand.boot({
    folder: bench.folder,
    shared,
    maxVcpus: planMachine(config, spec).most.vcpus,
    memoryMiB: config.hypervisor.default_memory,
    accelerator: chooseAccelerator(config.hypervisor.accelerator).accelerator,
    cache: config.hypervisor.virtio_fs_cache,
  });
  const pod: Side = {
    folder: podFolder,
    work: (what, name) => inContainer(bench, sandbox, podFolder, what, name),
  };
  const hand: Side = {
    folder: handFolder,
    work: (what, name) => machine.run(`sh /data/work.sh ${what} ${name}`),
  };
  const rows: Row[] = [];
  for (const kind of Object.keys(KINDS)) {
    rows.push(await row(kind, pod, hand));
  }
  return rows;
}

async function row(name: string, pod: Side, hand: Side): Promise<Row> {
  const took = new Map<Side, number[]>([[pod, []], [hand, []]]);
  for (let round = 0; round <= ROUNDS; round++) {
    // whoever is first has the host's disk at another moment
    for (const side of round % 2 === 0 ? [pod, hand] : [hand, pod]) {
      const time = await seconds(name, side, `${name}-${round}`);
      // the first is a warm-up
      if (round > 0) took.get(side)?.push(time);
    }
  }
  // short work of three processes on few processors: what else the machine does only ever adds to it
  const [value, reference] = [Math.min(...took.get(pod) ?? []), Math.min(...took.get(hand) ?? [])];
  return {
    what: KINDS[name]?.what ?? name,
    value,
    reference,
    unit: "s",
    figure: value / reference,
    budget: Math.round(BUDGET * 100) / 100,
    referenceName: "virtiofsd and QEMU by hand",
  };
}

async function seconds(what: string, side: Side, name: string): Promise<number> {
  const path = `${side.folder}/${name}`;
  await KINDS[what]?.prepare?.(path);
  await side.work(what, name);
  const took = Number(await Deno.readTextFile(`${side.folder}/took-${name}`)) / 1_000_000;
  return took;
}

/** The guest has never seen it, and the host still has it in memory. */
async function writeLarge(path: string): Promise<void> {
  using file = await Deno.create(path);
  const block = new Uint8Array(MIB).fill(7);
  for (let i = 0; i < READ_MIB; i++) await file.write(block);
}

async function writeTree(path: string): Promise<void> {
  for (let i = 0; i < FOLDERS; i++) {
    await Deno.mkdir(`${path}/folder-${i}`, { recursive: true });
    for (let n = 0; n < PER_FOLDER; n++) await Deno.writeTextFile(`${path}/folder-${i}/file-${n}`, "text\n");
  }
}

let containers = 0;

async function inContainer(
  bench: SandboxBench,
  sandbox: Sandbox,
  folder: string,
  what: string,
  name: string,
): Promise<void> {
  const id = `work-${containers++}`;
  const spec = specOf(bench, id, ["sh", "/data/work.sh", what, name], { mounts: [volume(folder)] });
  const container = await sandbox.createContainer({ id, bundle: bench.rootfs, spec, rootfs: [], io: noIo() });
  await container.start();
  const { status } = await container.init.exited;
  if (status !== 0) throw new Error(`work.sh ${what} ended with ${status}`);
  await container.delete();
}

function volume(source: string): Mount {
  return { destination: "/data", type: "bind", source, options: ["rbind", "rw"] };
}
