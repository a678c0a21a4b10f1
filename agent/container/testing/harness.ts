/**
 * For tests: a root file system of busybox, and containers that run in it on this machine, in a cgroup of
 * their own.
 *
 * Needs root. Everything is removed again by `await using`.
 */

import assert from "node:assert/strict";
import type { Process, Spec } from "../../../oci/spec.ts";
import { closeFd, pipe } from "../../../sys/fd.ts";
import { readMountinfo } from "../../../sys/mount.ts";
import { AsyncFd } from "../../../sys/poll.ts";
import type { ExitStatus } from "../../../sys/process.ts";
import { createLogger, type Logger } from "../../log.ts";
import { Container, type ContainerProcess } from "../container.ts";
import type { SandboxNamespaceFds } from "../namespaces.ts";
import type { StdioPipes } from "../stdio.ts";

const BUSYBOX = "/usr/bin/busybox";
const APPLETS =
  "sh id cat ls mount umount hostname true false sleep echo env pwd stat readlink tty grep sort wc kill touch mkdir rm ps test dd nproc head chmod find mknod ln ipcs seq printf sed cut";

/** All that a test machine's containers live in. */
export class Harness implements AsyncDisposable {
  readonly folder: string;
  readonly rootfs: string;
  readonly cgroupRoot: string;
  /** Lines of the log. */
  readonly logged: string[] = [];
  readonly #log: Logger;
  #containers = 0;

  constructor() {
    this.folder = Deno.makeTempDirSync({ prefix: "kata-container-" });
    this.rootfs = `${this.folder}/rootfs`;
    makeRootfs(this.rootfs);
    this.cgroupRoot = `${cgroup2Mount()}/kata-test-${crypto.randomUUID().slice(0, 8)}`;
    Deno.mkdirSync(this.cgroupRoot);
    this.#log = createLogger("debug", (line) => this.logged.push(line));
  }

  /** Makes a container whose output is collected; the caller destroys it. */
  async create(spec: Spec, namespaces: SandboxNamespaceFds = {}): Promise<TestContainer> {
    using streams = new Streams();
    const id = `test-${++this.#containers}`;
    const { cgroupRoot } = this;
    const io = streams.child;
    const options = { id, bundle: this.folder, spec, io, namespaces, log: this.#log, cgroupRoot };
    const container = await Container.create(options);
    return new TestContainer(container, streams.collect());
  }

  /** Runs a container to its end. */
  async run(spec: Spec, namespaces: SandboxNamespaceFds = {}): Promise<Outcome> {
    await using container = await this.create(spec, namespaces);
    await container.container.start();
    return await container.outcome();
  }

  /** Runs a shell script in a container to its end. */
  async sh(script: string, change: (spec: Spec) => void = () => {}): Promise<Outcome> {
    const spec = specOf(this.rootfs, ["sh", "-c", script]);
    change(spec);
    return await this.run(spec);
  }

  /** As `sh`, for scripts that succeed. @returns what was printed, without the last line end */
  async output(script: string, change: (spec: Spec) => void = () => {}): Promise<string> {
    const { status, stdout, stderr } = await this.sh(script, change);
    assert.deepEqual({ status, stderr }, { status: { code: 0, signal: 0 }, stderr: "" });
    return stdout.replace(/\n$/, "");
  }

  /** Fails if anything is left of what was made with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const left = [...Deno.readDirSync(this.cgroupRoot)].filter((entry) => entry.isDirectory).map((entry) =>
      entry.name
    );
    const mounts = readMountinfo().filter((mount) => mount.mountPoint.startsWith(this.folder));
    await Deno.remove(this.cgroupRoot);
    if (mounts.length === 0) await Deno.remove(this.folder, { recursive: true });
    assert.deepEqual({ left, mounts }, { left: [], mounts: [] });
  }
}

/** What a process has printed, and how it ended. */
export interface Outcome {
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

/** A container, and the output of its first process. */
export class TestContainer implements AsyncDisposable {
  readonly #output: Collected;

  constructor(readonly container: Container, output: Collected) {
    this.#output = output;
  }

  /** Waits for the end of the first process. */
  outcome(): Promise<Outcome> {
    return outcomeOf(this.container.init, this.#output);
  }

  /** Runs another process to its end. */
  async exec(change: Partial<Process> & { args: string[] }): Promise<Outcome> {
    const { process, output } = await this.#exec({ ...processOf(change.args), ...change });
    return await outcomeOf(process, output);
  }

  /** On return only the process has the writing ends. */
  async #exec(process: Process): Promise<{ process: ContainerProcess; output: Collected }> {
    using streams = new Streams();
    const started = await this.container.exec("exec", process, streams.child);
    return { process: started, output: streams.collect() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.container.destroy();
    // Ends by itself: nobody is left to write.
    await Promise.all([this.#output.stdout, this.#output.stderr]);
  }
}

async function outcomeOf(process: ContainerProcess, output: Collected): Promise<Outcome> {
  const [status, stdout, stderr] = await Promise.all([process.exit, output.stdout, output.stderr]);
  return { status, stdout, stderr };
}

interface Collected {
  readonly stdout: Promise<string>;
  readonly stderr: Promise<string>;
}

/** Three pipes: an input that is at its end, and outputs that are collected. */
class Streams implements Disposable {
  readonly child: StdioPipes;
  readonly #mine: readonly [number, number];
  #collected = false;

  constructor() {
    const [stdin, input] = pipe();
    closeFd(input);
    const [out, stdout] = pipe();
    const [err, stderr] = pipe();
    this.child = { kind: "pipes", stdin, stdout, stderr };
    this.#mine = [out, err];
  }

  collect(): Collected {
    this.#collected = true;
    const [out, err] = this.#mine;
    return { stdout: readAll(new AsyncFd(out, "stdout")), stderr: readAll(new AsyncFd(err, "stderr")) };
  }

  [Symbol.dispose](): void {
    const { stdin, stdout, stderr } = this.child;
    for (const fd of [stdin, stdout, stderr, ...(this.#collected ? [] : this.#mine)]) closeFd(fd);
  }
}

async function readAll(from: AsyncFd): Promise<string> {
  using source = from;
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  for (;;) {
    const count = await source.read(buffer);
    if (count === 0) return text;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

/** A process of the tests' containers. */
export function processOf(args: readonly string[]): Process {
  return { user: { uid: 0, gid: 0 }, args: [...args], env: ["PATH=/bin"], cwd: "/" };
}

/** A small container with everything of its own. */
export function specOf(rootfs: string, args: readonly string[]): Spec {
  return {
    ociVersion: "1.2.0",
    process: processOf(args),
    root: { path: rootfs },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
    ],
    linux: {
      namespaces: [
        { type: "pid" },
        { type: "mount" },
        { type: "ipc" },
        { type: "uts" },
        { type: "network" },
        { type: "cgroup" },
      ],
    },
  };
}

function makeRootfs(rootfs: string): void {
  for (const folder of ["bin", "etc", "proc", "sys", "dev", "tmp"]) {
    Deno.mkdirSync(`${rootfs}/${folder}`, { recursive: true });
  }
  Deno.copyFileSync(BUSYBOX, `${rootfs}/bin/busybox`);
  Deno.chmodSync(`${rootfs}/bin/busybox`, 0o755);
  for (const applet of APPLETS.split(" ")) Deno.symlinkSync("busybox", `${rootfs}/bin/${applet}`);
  Deno.writeTextFileSync(
    `${rootfs}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
  );
}

/** Where version 2 of cgroups is mounted on this machine. */
export function cgroup2Mount(): string {
  const found = readMountinfo().find((mount) => mount.fstype === "cgroup2");
  if (!found) throw new Error("no cgroup2 file system is mounted on this machine");
  return found.mountPoint;
}

/** Waits until a container has written to a file. */
export async function fileAppears(path: string): Promise<void> {
  await until(() => {
    try {
      return Deno.statSync(path).size > 0;
    } catch {
      return false;
    }
  });
}

/** Waits for something that a container does. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not happen within ten seconds");
}
