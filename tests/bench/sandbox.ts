/**
 * Rows about sandboxes, measured inside one process through the same interface that the shim uses.
 *
 * @module
 */

import { CONTAINERD } from "../../agent/container/seccomp/testing/profiles.ts";
import { isolateMounts } from "../../cmd/runtime/run/mount_namespace.ts";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import type { Spec } from "../../oci/spec.ts";
import { createSandbox } from "../../sandbox/create_sandbox.ts";
import { noIo } from "../../sandbox/io/streams.ts";
import { silentLog } from "../../sandbox/log/log.ts";
import { planMachine } from "../../sandbox/machine/plan.ts";
import { vmConfig } from "../../sandbox/machine/vm_config.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { qemu } from "../../vm/qemu/qemu.ts";
import { median } from "./measure.ts";
import { REFERENCE_LINE, referenceInitrd } from "./reference_boot.ts";
import { specOf } from "./spec.ts";
import type { Row } from "./table.ts";

const BOOTS = 5;
const PROCESSES = 30;
const ROUNDS = 3;

/** What the rows need. */
export interface SandboxBench {
  /** folder with `configuration.toml` */
  readonly dist: string;
  /** root file system with busybox, and for the last row with crun */
  readonly rootfs: string;
  /** for files of the bench's own */
  readonly folder: string;
}

/** Row of design.md: create a sandbox and run the first process in it, against booting the same kernel. */
export async function coldSandboxRow(bench: SandboxBench): Promise<Row> {
  isolateMounts();
  const config = await configuration(bench);
  const initrd = await referenceInitrd(bench.folder);
  const pairs: { ours: number; reference: number }[] = [];
  for (let i = 0; i < BOOTS; i++) {
    pairs.push({
      ours: await coldSandboxMs(bench, config, i),
      reference: await bootMs(bench, config, initrd),
    });
  }
  return {
    what: "cold sandbox: create until the first process runs",
    value: median(pairs.map(({ ours }) => ours)) / 1000,
    reference: median(pairs.map(({ reference }) => reference)) / 1000,
    unit: "s",
    figure: median(pairs.map(({ ours, reference }) => ours / reference)),
    budget: 1.6,
    referenceName: "same kernel to a static /init",
  };
}

/**
 * Rows of design.md: create, start and exit of a process in a running sandbox, against crun in the same guest; without
 * and with containerd's filter of system calls on both sides.
 */
export async function guestProcessRows(bench: SandboxBench): Promise<Row[]> {
  const config = await configuration(bench);
  const spec = specOf(bench, "bench-guest", ["sleep", "3600"]);
  await using sandbox = await createSandbox({ id: "bench-guest", spec, config, log: silentLog });
  const rows: Row[] = [];
  for (const filtered of [false, true]) {
    await runInSandbox(sandbox, bench, `warm-up-${filtered}`, filtered);
    const pairs: { ours: number; crun: number }[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const started = performance.now();
      for (let n = 0; n < PROCESSES; n++) {
        await runInSandbox(sandbox, bench, `true-${filtered}-${i}-${n}`, filtered);
      }
      const ours = (performance.now() - started) / PROCESSES;
      pairs.push({ ours, crun: await crunMs(sandbox, bench, `crun-${filtered}-${i}`, filtered) });
    }
    rows.push({
      what: `create + start + exit of true in a running sandbox${
        filtered ? ", with containerd's seccomp profile" : ""
      }`,
      value: median(pairs.map(({ ours }) => ours)),
      reference: median(pairs.map(({ crun }) => crun)),
      unit: "ms",
      figure: median(pairs.map(({ ours, crun }) => ours / crun)),
      budget: 1,
      referenceName: "crun run in the same guest",
    });
  }
  return rows;
}

async function configuration({ dist }: SandboxBench): Promise<Config> {
  return (await loadConfig({ explicit: `${dist}/configuration.toml` })).config;
}

/** From nothing to a process that has started. */
async function coldSandboxMs(bench: SandboxBench, config: Config, i: number): Promise<number> {
  const id = `bench-cold-${i}`;
  const spec = specOf(bench, id, ["sleep", "3600"]);
  const started = performance.now();
  await using sandbox = await createSandbox({ id, spec, config, log: silentLog });
  const container = await sandbox.createContainer({ id, bundle: bench.rootfs, spec, rootfs: [], io: noIo() });
  await container.start();
  const ms = performance.now() - started;
  await sandbox.stop();
  return ms;
}

/** The same machine and kernel until its `/init` runs. */
async function bootMs(bench: SandboxBench, config: Config, initrd: string): Promise<number> {
  const dir = await Deno.makeTempDir({ dir: bench.folder });
  const runs = Promise.withResolvers<void>();
  const spec = specOf(bench, "bench-boot", ["true"]);
  const described = vmConfig({
    id: "bench-boot",
    dir,
    plan: planMachine(config, spec),
    spec,
    config: { ...config, hypervisor: { ...config.hypervisor, shared_fs: "none", initrd } },
    share: "",
    log: silentLog,
  });
  const started = performance.now();
  const vm = await qemu.start({
    ...described,
    onConsole: (line) => REFERENCE_LINE.test(line) && runs.resolve(),
  });
  await Promise.race([
    runs.promise,
    vm.exited.then((exit) => {
      throw new Error(`the reference guest ended: ${exit.message}`);
    }),
  ]);
  const ms = performance.now() - started;
  await vm.stop();
  return ms;
}

async function runInSandbox(
  sandbox: Sandbox,
  bench: SandboxBench,
  id: string,
  filtered: boolean,
): Promise<void> {
  const plain = specOf(bench, id, ["true"]);
  const spec = filtered ? { ...plain, linux: { ...plain.linux, seccomp: CONTAINERD } } : plain;
  const container = await sandbox.createContainer({ id, bundle: bench.rootfs, spec, rootfs: [], io: noIo() });
  await container.start();
  const { status } = await container.init.exited;
  if (status !== 0) throw new Error(`true ended with ${status}`);
  await container.delete();
}

/**
 * crun inside a container that may do everything, with the same specification. It manages no cgroup there, which
 * saves it work that ours does.
 */
async function crunMs(
  sandbox: Sandbox,
  bench: SandboxBench,
  id: string,
  filtered: boolean,
): Promise<number> {
  const bundle = filtered ? "/bundle-filtered" : "/bundle";
  const loop = `n=0; while [ $n -lt ${PROCESSES} ]; do ` +
    `crun --cgroup-manager=disabled --root /tmp run --bundle ${bundle} c$n || exit 1; n=$((n+1)); done`;
  const base = specOf(bench, id, ["sh", "-c", loop]);
  const all = ["bounding", "effective", "permitted", "inheritable"].map((set) => [set, ALL_CAPABILITIES]);
  const process = { ...base.process, noNewPrivileges: false, capabilities: Object.fromEntries(all) };
  const linux = { ...base.linux, maskedPaths: [], readonlyPaths: [] };
  // crun looks there for what the kernel's cgroups are
  const cgroup = {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["rw", "nosuid"],
  };
  const spec = { ...base, process, linux, mounts: [...(base.mounts ?? []), cgroup] } as Spec;
  const container = await sandbox.createContainer({ id, bundle: bench.rootfs, spec, rootfs: [], io: noIo() });
  const started = performance.now();
  await container.start();
  const { status } = await container.init.exited;
  const ms = (performance.now() - started) / PROCESSES;
  if (status !== 0) throw new Error(`crun ended with ${status}`);
  await container.delete();
  return ms;
}

const ALL_CAPABILITIES = [
  ..."CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN NET_RAW"
    .split(" "),
  ..."IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE SYS_RESOURCE MKNOD AUDIT_WRITE SETFCAP"
    .split(" "),
].map((name) => `CAP_${name}`);
