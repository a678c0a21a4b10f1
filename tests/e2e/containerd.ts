/**
 * A containerd of a test's own: private folders and sockets, and this product as a runtime in its PATH.
 *
 * @module
 */

import { markedPrefix } from "./leaks.ts";
import { programUnderTest } from "./program.ts";

/** How to start it. */
export interface ContainerdOptions {
  /** program that becomes `containerd-shim-kata-v2`; default: the built one */
  readonly shim?: string;
  /** folder of the `containerd` and `ctr` to run; default: `KATA_TEST_CONTAINERD`, else the installed ones */
  readonly containerd?: string;
  /** `configuration.toml` of the runtime; default: the one beside the program */
  readonly configuration?: string;
  /** shims log more */
  readonly debug?: boolean;
  /** the host's side of pods' links is in a network namespace that nobody else uses; a new one at each start */
  readonly ownNetwork?: boolean;
  /** settings of the container runtime interface for node agents; default: it is off */
  readonly cri?: (folder: string) => string;
}

/** How a program ended, and what it wrote. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run `ctr`. */
export interface CtrOptions {
  /** after this it is killed, in milliseconds (default 300 000) */
  readonly timeoutMs?: number;
  /** its standard input */
  readonly input?: string | Uint8Array;
}

const CTR_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;

/** Runs what follows in a network namespace of its own, in which it can listen on the loopback address. */
const IN_OWN_NETWORK = `unshare --net sh -c 'ip link set lo up && exec "$0" "$@"'`;

/** How long something may take that a test looks for, in milliseconds: many machines may run on a slow host. */
const UNTIL_MS = 120_000;

/** Runtime name by which clients ask for this product. */
export const RUNTIME = "io.containerd.kata.v2";

/** Starts a containerd. Disposing of it removes its containers, its processes and its files. */
export async function startContainerd(options: ContainerdOptions = {}): Promise<Containerd> {
  const containerd = new Containerd(await Deno.makeTempDir({ prefix: markedPrefix("ctd") }), options);
  try {
    await containerd.prepare();
    await containerd.start();
    return containerd;
  } catch (error) {
    await containerd[Symbol.asyncDispose]();
    throw error;
  }
}

/** A running containerd. */
export class Containerd implements AsyncDisposable {
  readonly folder: string;
  readonly address: string;
  readonly #options: ContainerdOptions;
  #process: Deno.ChildProcess | undefined;

  constructor(folder: string, options: ContainerdOptions) {
    this.folder = folder;
    this.address = `${folder}/c.sock`;
    this.#options = options;
  }

  /** What containerd, and the shims with it, have logged so far. */
  get log(): string {
    return Deno.readTextFileSync(`${this.folder}/log`);
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error("containerd is not running");
    return this.#process.pid;
  }

  /** Writes what it needs into its folder. */
  async prepare(): Promise<void> {
    await Deno.mkdir(`${this.folder}/bin`);
    const shim = this.#options.shim;
    await Deno.symlink(
      shim === undefined ? programUnderTest() : await Deno.realPath(shim),
      `${this.folder}/bin/containerd-shim-kata-v2`,
    );
    await Deno.writeTextFile(`${this.folder}/config.toml`, this.#config());
  }

  #config(): string {
    const level = this.#options.debug === false ? "info" : "debug";
    const { cri } = this.#options;
    return `version = 2
root = "${this.folder}/root"
state = "${this.folder}/state"
disabled_plugins = [${cri === undefined ? '"io.containerd.grpc.v1.cri",' : ""}
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "${this.address}"

[ttrpc]
  address = "${this.folder}/t.sock"

[debug]
  level = "${level}"
${cri?.(this.folder) ?? ""}`;
  }

  /** Starts it, or starts it again after {@linkcode stop}. */
  async start(): Promise<void> {
    const env: Record<string, string> = {
      PATH: `${this.folder}/bin:${Deno.env.get("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin"}`,
    };
    if (this.#options.configuration) env.KATA_CONF_FILE = this.#options.configuration;
    // its output goes to a file: shims that outlive it would keep a pipe open
    const process = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `exec ${
          this.#options.ownNetwork ? IN_OWN_NETWORK : ""
        } "$0" --config "$1/config.toml" >>"$1/log" 2>&1`,
        this.program("containerd"),
        this.folder,
      ],
      env,
      stdin: "null",
    }).spawn();
    this.#process = process;
    await this.#ready(process);
  }

  /** Path or name of one of its programs. */
  program(name: "containerd" | "ctr"): string {
    const folder = this.#options.containerd ?? Deno.env.get("KATA_TEST_CONTAINERD");
    return folder === undefined ? name : `${folder}/${name}`;
  }

  async #ready(process: Deno.ChildProcess): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    let hasEnded = false;
    process.status.then(() => hasEnded = true);
    while ((await this.run(["version"], { timeoutMs: 15_000 })).code !== 0) {
      if (hasEnded || Date.now() > deadline) {
        throw new Error(`containerd does not start:\n${tail(this.log, 20)}`);
      }
      await pause(50);
    }
  }

  /** Ends it; shims and what they run go on. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    try {
      process.kill(signal);
    } catch (error) {
      // it has ended
      if (!(error instanceof TypeError)) throw error;
    }
    const timer = setTimeout(() => killIfThere(process.pid), STOP_TIMEOUT_MS);
    await process.status;
    clearTimeout(timer);
  }

  /** Runs `ctr` and returns what it wrote to its standard output. @throws {Error} it failed */
  async ctr(args: readonly string[], options: CtrOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`ctr ${args.join(" ")} failed with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Runs `ctr` to its end, whatever that is. */
  async run(args: readonly string[], options: CtrOptions = {}): Promise<Finished> {
    const child = this.spawn(args, options.input === undefined ? "null" : "piped");
    const feeding = options.input === undefined ? undefined : feed(child, options.input);
    const timer = setTimeout(() => killIfThere(child.pid), options.timeoutMs ?? CTR_TIMEOUT_MS);
    try {
      const { code, stdout, stderr, signal } = await child.output();
      await feeding;
      const decoder = new TextDecoder();
      const late = signal === "SIGKILL" ? "\n(killed by the test: it took too long)" : "";
      return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) + late };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts `ctr` with pipes. */
  spawn(args: readonly string[], stdin: "null" | "piped" = "null"): Deno.ChildProcess {
    const command = new Deno.Command(this.program("ctr"), {
      args: ["--address", this.address, ...args],
      stdin,
      stdout: "piped",
      stderr: "piped",
    });
    return command.spawn();
  }

  /** Runs a container to its end, as `ctr run --rm` does. */
  runContainer(
    id: string,
    rootfs: string,
    command: readonly string[],
    options: CtrOptions & { flags?: string[] } = {},
  ) {
    const flags = ["--rm", "--runtime", RUNTIME, ...(options.flags ?? []), "--rootfs", rootfs];
    return this.run(["run", ...flags, id, ...command], options);
  }

  /** Starts a container in the background. */
  async runDetached(
    id: string,
    rootfs: string,
    command: readonly string[],
    flags: readonly string[] = [],
  ): Promise<void> {
    await this.ctr(["run", "-d", "--runtime", RUNTIME, ...flags, "--rootfs", rootfs, id, ...command]);
  }

  /** The task's state as `ctr task ls` shows it; `undefined` when there is none. */
  async taskStatus(id: string): Promise<string | undefined> {
    const lines = (await this.ctr(["task", "ls"])).split("\n");
    return lines.map((line) => line.trim().split(/\s+/)).find((words) => words[0] === id)?.[2];
  }

  /** Waits until the task has this state. */
  async untilTask(id: string, status: string | undefined, timeoutMs = UNTIL_MS): Promise<void> {
    await until(
      `task "${id}" is ${status ?? "gone"}`,
      async () => await this.taskStatus(id) === status,
      timeoutMs,
    );
  }

  /** The bundle's folder of a container. */
  bundle(id: string): string {
    return `${this.folder}/state/io.containerd.runtime.v2.task/default/${id}`;
  }

  /** Pid of a container's shim. */
  async shimPid(id: string): Promise<number> {
    return Number(await Deno.readTextFile(`${this.bundle(id)}/shim.pid`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) await this.#removeContainers();
    await this.stop();
    await this.#killShims();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #removeContainers(): Promise<void> {
    const tasks = (await this.run(["task", "ls", "-q"], { timeoutMs: 30_000 })).stdout.split("\n").filter(
      Boolean,
    );
    for (const id of tasks) await this.run(["task", "rm", "--force", id], { timeoutMs: 60_000 });
    const ids = (await this.run(["container", "ls", "-q"], { timeoutMs: 30_000 })).stdout.split("\n").filter(
      Boolean,
    );
    for (const id of ids) await this.run(["container", "rm", id], { timeoutMs: 30_000 });
  }

  /** Shims that even a removal has left: they were started for this containerd alone. */
  async #killShims(): Promise<void> {
    for (const pid of await pidsWith(this.address)) killIfThere(pid, "SIGTERM");
    await until("shims are gone", async () => (await pidsWith(this.address)).length === 0, STOP_TIMEOUT_MS)
      .catch(() => {});
    for (const pid of await pidsWith(this.address)) killIfThere(pid);
  }
}

/** Kills a process, unless it has just ended. */
export function killIfThere(pid: number, signal: Deno.Signal = "SIGKILL"): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Processes with a text among their arguments. */
async function pidsWith(text: string): Promise<number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.split("\0").includes(text)) pids.push(Number(name));
  }
  return pids;
}

/** Looks again and again until something is true. @throws {Error} that says what was waited for */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = UNTIL_MS,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!await isTrue()) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await pause(50);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function tail(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

async function feed(child: Deno.ChildProcess, input: string | Uint8Array): Promise<void> {
  const writer = child.stdin.getWriter();
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  try {
    await writer.write(bytes);
    await writer.close();
  } catch {
    // it does not want all of it
  }
}
