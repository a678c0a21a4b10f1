/**
 * A pod for tests of volumes, and what a host has for them: disks (loop devices of this machine), volumes as Kubernetes'
 * node agent makes them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { addVolume, removeVolume } from "../../fs/direct_volume.ts";
import type { Device, Mount, Resources } from "../../oci/spec.ts";
import { AT } from "../../sys/fd.ts";
import { majorOf, minorOf, statAt } from "../../sys/file.ts";
import { run } from "../../tools/process.ts";
import { writeConfiguration } from "./configuration.ts";
import { type DirectShim, memberOf, POD, startShim } from "./direct_shim.ts";
import { leaksSince, markedPrefix, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

const MIB = 1_048_576;

/** Disks and folders of one test; disposing of it gives all of them back. */
export class Bench implements AsyncDisposable {
  readonly folder: string;
  readonly #taken = new AsyncDisposableStack();

  private constructor(folder: string) {
    this.folder = folder;
    this.#taken.defer(() => Deno.remove(folder, { recursive: true }));
  }

  static async create(): Promise<Bench> {
    return new Bench(await Deno.makeTempDir({ prefix: markedPrefix("storage") }));
  }

  /** A file with a file system that has what the folder has. */
  async image(name: string, fstype: "ext4" | "xfs", content?: string): Promise<string> {
    const path = `${this.folder}/${name}`;
    await Deno.writeFile(path, new Uint8Array());
    // XFS has 300 MB at least; the file has holes
    await Deno.truncate(path, fstype === "xfs" ? 320 * MIB : 32 * MIB);
    const source = content === undefined ? [] : ["-d", content];
    await run(fstype === "xfs" ? ["mkfs.xfs", "-q", path] : ["mkfs.ext4", "-q", ...source, path]);
    return path;
  }

  async loop(image: string): Promise<string> {
    const node = (await run(["losetup", "--find", "--show", image])).trim();
    this.#taken.defer(() => run(["losetup", "--detach", node]).then(() => {}));
    return node;
  }

  /** What the host reads from a disk when the guest is done with it. */
  async read(node: string, file: string): Promise<string> {
    const point = `${this.folder}/look`;
    await Deno.mkdir(point);
    await run(["mount", "-o", "ro", node, point]);
    try {
      return await Deno.readTextFile(`${point}/${file}`);
    } finally {
      await run(["umount", point]);
      await Deno.remove(point);
    }
  }

  async volume(
    path: string,
    device: string,
    fstype: string,
    metadata: Record<string, string>,
  ): Promise<void> {
    const info = { "volume-type": "block", device, fstype, metadata, options: ["noatime"] };
    await addVolume(path, JSON.stringify(info));
    this.#taken.defer(() => removeVolume(path));
  }

  /** A volume in memory, as the kubelet makes it. */
  get memoryVolume(): string {
    return `${this.folder}/volumes/kubernetes.io~empty-dir/cache`;
  }

  /** A volume on disk, as the kubelet makes it, that belongs to a group. */
  async diskVolume(): Promise<string> {
    const path = `${this.folder}/volumes/kubernetes.io~empty-dir/work`;
    await Deno.mkdir(path, { recursive: true });
    await Deno.chown(path, 0, 2000);
    await Deno.chmod(path, 0o2777);
    return path;
  }

  /** A version of a ConfigMap, published as the kubelet does: at once, by a link; the old one goes. */
  async publish(version: string): Promise<string> {
    const path = `${this.folder}/volumes/kubernetes.io~configmap/settings`;
    await Deno.mkdir(`${path}/..${version}`, { recursive: true });
    for (const name of ["key", "other"]) {
      await Deno.writeTextFile(`${path}/..${version}/${name}`, `${version}\n`, { mode: 0o640 });
    }
    const old = await Deno.readLink(`${path}/..data`).catch(() => undefined);
    await Deno.symlink(`..${version}`, `${path}/..data_tmp`);
    await Deno.rename(`${path}/..data_tmp`, `${path}/..data`);
    if (old !== undefined) await Deno.remove(`${path}/${old}`, { recursive: true });
    else for (const name of ["key", "other"]) await Deno.symlink(`..data/${name}`, `${path}/${name}`);
    return path;
  }

  /** A part of a volume, bound as the kubelet binds it; where the shim sees it. */
  async mountPart(volume: string, part: string): Promise<void> {
    const path = this.part(volume);
    await Deno.mkdir(path, { recursive: true });
    await Deno.mkdir(`${volume}/${part}`, { recursive: true });
    await Deno.chmod(`${volume}/${part}`, 0o2777);
    await run(["mount", "--bind", `${volume}/${part}`, path]);
    this.#taken.defer(() => run(["umount", path]).then(() => {}));
  }

  part(volume: string): string {
    return `${this.folder}/volume-subpaths/${volume.slice(volume.lastIndexOf("/") + 1)}/web/0`;
  }

  /** A folder with a mount in it, whose changes spread to other mount namespaces. */
  async mountSpreading(): Promise<void> {
    const path = `${this.folder}/spreading`;
    await Deno.mkdir(path);
    await run(["mount", "-t", "tmpfs", "tmpfs", path]);
    this.#taken.defer(() => run(["umount", "--recursive", path]).then(() => {}));
    await run(["mount", "--make-shared", path]);
    for (const name of ["now", "later"]) await Deno.mkdir(`${path}/${name}`);
    await run(["mount", "-t", "tmpfs", "tmpfs", `${path}/now`]);
    await Deno.writeTextFile(`${path}/now/early`, "");
  }

  /** A volume of huge pages, as the kubelet makes it. */
  get hugeVolume(): string {
    return `${this.folder}/volumes/kubernetes.io~empty-dir/huge`;
  }

  async mountHugeVolume(): Promise<void> {
    await Deno.mkdir(this.hugeVolume, { recursive: true });
    await run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "nodev", this.hugeVolume]);
    this.#taken.defer(() => run(["umount", this.hugeVolume]).then(() => {}));
  }

  async mountMemoryVolume(): Promise<void> {
    const path = this.memoryVolume;
    await Deno.mkdir(path, { recursive: true });
    await run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", path]);
    this.#taken.defer(() => run(["umount", path]).then(() => {}));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#taken.disposeAsync();
  }
}

/** How a container is made. */
export interface Made {
  readonly script: string;
  readonly mounts?: readonly Mount[];
  readonly devices?: readonly Device[];
  /** `linux.resources` */
  readonly resources?: Resources;
  /** node of the disk with its root */
  readonly disk?: { readonly node: string; readonly fstype: string };
  /** is told all that it has printed so far */
  readonly onText?: (text: string) => void;
}

/** A pod whose containers run a script each. */
export class Pod {
  readonly #shim: DirectShim;
  readonly #rootfs: string;
  #count = 0;

  constructor(shim: DirectShim, rootfs: string) {
    this.#shim = shim;
    this.#rootfs = rootfs;
  }

  async boot(): Promise<void> {
    const { id, task } = this.#shim;
    const bundle = this.#shim.writeBundle(id, {
      args: ["sleep", "1000"],
      rootfs: this.#rootfs,
      annotations: POD,
    });
    await task.create({ id, bundle });
    await task.start({ id });
  }

  /** Runs a script to its end; returns what it printed. */
  async run({ script, mounts, devices, resources, disk, onText }: Made): Promise<string> {
    const { task } = this.#shim;
    const id = `c${this.#count++}-${this.#shim.id}`;
    const bundle = this.#shim.writeBundle(id, {
      args: ["sh", "-c", script],
      rootfs: disk ? "rootfs" : this.#rootfs,
      annotations: memberOf(this.#shim.id),
      mounts,
      devices,
      resources,
    });
    const stdout = this.#shim.outputFifo(id, onText);
    const rootfs = disk ? [{ type: disk.fstype, source: disk.node, options: ["noatime"] }] : [];
    await task.create({ id, bundle, rootfs, stdout: stdout.path, stderr: stdout.path });
    const ended = task.wait({ id });
    await task.start({ id });
    const text = await stdout.text;
    const { exitStatus } = await ended;
    await task.delete({ id });
    assert.equal(exitStatus, 0, text);
    return text;
  }
}

export async function withPod(
  hypervisor: Readonly<Record<string, string | number | boolean>>,
  body: (pod: Pod, bench: Bench, rootfs: string, shim: DirectShim) => Promise<void>,
  prepare: (bench: Bench) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const before = await traces();
  {
    await using bench = await Bench.create();
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(bench.folder, { hypervisor });
    // what is mounted later, a shim does not see on a machine whose mounts are private
    await prepare(bench);
    await using shim = await startShim(ownId("disk"), { configuration });
    const pod = new Pod(shim, rootfs.path);
    await pod.boot();
    await body(pod, bench, rootfs.path, shim);
  }
  assert.deepEqual(await leaksSince(before), []);
}

export function deviceOf(node: string, path: string): Device {
  const { rdev } = statAt(AT.FDCWD, node);
  return { path, type: "b", major: majorOf(rdev), minor: minorOf(rdev), fileMode: 0o660, uid: 0, gid: 0 };
}
