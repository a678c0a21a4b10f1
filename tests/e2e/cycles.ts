/**
 * Containers that come and go in one pod, and what the pod's processes have then.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pause } from "./containerd.ts";
import { type DirectShim, execProcess, memberOf, POD } from "./direct_shim.ts";
import type { temporaryRootfs } from "./rootfs.ts";
import { pidsOf } from "./victims.ts";

/** How many are on their way at the same time. */
const AT_ONCE = 2;

type Rootfs = Awaited<ReturnType<typeof temporaryRootfs>>;

/** What there is on the host, counted. */
export interface Counts {
  readonly shimFds: number;
  readonly shimMounts: number;
  readonly virtiofsdFds: number;
  readonly qemuFds: number;
  readonly children: number;
  readonly files: number;
}

/** Starts the pod that the containers are in. */
export async function startPod(shim: DirectShim, rootfs: Rootfs): Promise<void> {
  const { id, task } = shim;
  const bundle = shim.writeBundle(id, { args: ["sleep", "100000"], rootfs: rootfs.path, annotations: POD });
  await task.create({ id, bundle });
  await task.start({ id });
}

/** Makes containers, runs them to their ends, removes them. @param name no other ones of the pod begin with it */
export async function cycle(shim: DirectShim, rootfs: Rootfs, name: string, count: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await one(shim, rootfs, `${name}${next++}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** A container as an engine makes it: on a file system of its own, with a volume, output, and a command in it. */
async function one(shim: DirectShim, rootfs: Rootfs, name: string): Promise<void> {
  const { task } = shim;
  const folder = `${rootfs.folder}/${name}`;
  for (const part of ["upper", "work", "volume"]) await Deno.mkdir(`${folder}/${part}`, { recursive: true });
  const stdout = shim.outputFifo(name);
  const bundle = shim.writeBundle(name, {
    args: ["sh", "-c", "ls -l /bin | wc -l; touch /volume/x; read line"],
    rootfs: "rootfs",
    annotations: memberOf(shim.id),
    mounts: [{ destination: "/volume", type: "bind", source: `${folder}/volume`, options: ["rbind"] }],
  });
  const options = [`lowerdir=${rootfs.path}`, `upperdir=${folder}/upper`, `workdir=${folder}/work`];
  const stdin = shim.inputFifo(`${name}-in`);
  await task.create({
    id: name,
    bundle,
    stdout: stdout.path,
    stdin: stdin.path,
    rootfs: [{ type: "overlay", source: "overlay", options }],
  });
  await task.start({ id: name });
  await task.exec({ id: name, execId: "e", spec: execProcess(["true"]) });
  await task.start({ id: name, execId: "e" });
  assert.equal((await task.wait({ id: name, execId: "e" })).exitStatus, 0);
  await task.delete({ id: name, execId: "e" });
  using input = stdin.open();
  await input.write(new TextEncoder().encode("go\n"));
  assert.equal((await task.wait({ id: name })).exitStatus, 0);
  await task.delete({ id: name });
  assert.match(await stdout.text, /^\d+\n$/);
  await Deno.remove(folder, { recursive: true });
  await Deno.remove(bundle, { recursive: true });
}

/** How often is counted until nothing changes any more: what is given back may take a moment. */
const TRIES = 40;
const PAUSE_MS = 250;

/** @returns what is counted when it has come to rest, and the shim's memory in KiB */
export async function counts(shim: DirectShim): Promise<[Counts, number]> {
  let last = await countsNow(shim);
  for (let left = TRIES; left > 0; left--) {
    await pause(PAUSE_MS);
    const [counted, kib] = await countsNow(shim);
    if (JSON.stringify(counted) === JSON.stringify(last[0])) return [counted, kib];
    last = [counted, kib];
  }
  return last;
}

async function countsNow(shim: DirectShim): Promise<[Counts, number]> {
  const { id, pid } = shim;
  const [virtiofsd = [], [qemu = 0]] = await Promise.all([pidsOf("virtiofsd", id), pidsOf("qemu", id)]);
  const fds = (pid: number) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const counted = {
    shimFds: fds(pid),
    shimMounts: (await Deno.readTextFile(`/proc/${pid}/mountinfo`)).split("\n").length,
    virtiofsdFds: virtiofsd.reduce((sum, pid) => sum + fds(pid), 0),
    qemuFds: fds(qemu),
    children: (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).trim().split(" ").length,
    files: await filesBelow(`/run/kata-containers/shared/sandboxes/${id}`) +
      await filesBelow(`/run/vc/sbs/${id}`),
  };
  return [counted, Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])];
}

async function filesBelow(folder: string): Promise<number> {
  let count = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    count += 1 + (isDirectory ? await filesBelow(`${folder}/${name}`) : 0);
  }
  return count;
}
