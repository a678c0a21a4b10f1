/**
 * A host whose system folders can be changed: in a mount namespace of its own they are covered by layers that are thrown
 * away. What is not covered, and everything but files, is the real host's.
 *
 * @module
 */

import type { Finished } from "./containerd.ts";
import { killIfThere, until } from "./containerd.ts";
import { markedPrefix } from "./leaks.ts";

/** Folders whose changes go to a layer. */
const LAYERED = ["/etc", "/usr/local", "/var/lib"];

/** Folders of which every file is looked at. */
const COMPARED = ["/etc", "/usr/local"];

/** Folders that start empty. */
const EMPTY = ["/run/containerd", "/var/lib/containerd"];

/** What a service of the system has. */
const SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How to run a command. */
export interface CommandOptions {
  /** default: root */
  readonly user?: number;
  readonly timeoutMs?: number;
}

/** Makes such a host. Disposing of it ends what was started in it, and forgets its files. */
export async function ownFiles(): Promise<OwnFiles> {
  const folder = await Deno.makeTempDir({ prefix: markedPrefix("files") });
  const holder = new Deno.Command("unshare", {
    args: ["--mount", "--propagation", "slave", "sh", "-c", "echo ready; exec sleep infinity"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const host = new OwnFiles(folder, holder);
  try {
    const reader = holder.stdout.getReader();
    await reader.read();
    await reader.cancel();
    await host.cover();
    return host;
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** A host with files of its own. */
export class OwnFiles implements AsyncDisposable {
  readonly folder: string;
  readonly #holder: Deno.ChildProcess;
  readonly #daemons: Deno.ChildProcess[] = [];

  constructor(folder: string, holder: Deno.ChildProcess) {
    this.folder = folder;
    this.#holder = holder;
  }

  /** Lays the layers over the system's folders. */
  async cover(): Promise<void> {
    // in memory: not every file system of a host can hold the upper layer
    const layers = `${this.folder}/layers`;
    await Deno.mkdir(layers);
    await this.must(["mount", "-t", "tmpfs", "tmpfs", layers]);
    for (const path of LAYERED) {
      const [upper, work] = [`${layers}${path}/upper`, `${layers}${path}/work`];
      await this.must(["mkdir", "-p", upper, work]);
      const options = `lowerdir=${path},upperdir=${upper},workdir=${work}`;
      await this.must(["mount", "-t", "overlay", "-o", options, "overlay", path]);
    }
    for (const path of EMPTY) {
      await this.must(["mkdir", "-p", path]);
      // the mode that containerd gives its folder
      await this.must(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", path]);
    }
  }

  /** Runs a command to its end. */
  async run(argv: readonly string[], { user, timeoutMs = 300_000 }: CommandOptions = {}): Promise<Finished> {
    const child = this.#spawn(argv, user, "piped");
    const timer = setTimeout(() => killIfThere(child.pid), timeoutMs);
    try {
      const { code, stdout, stderr } = await child.output();
      const decoder = new TextDecoder();
      return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** The same. @returns standard output @throws {Error} it failed */
  async must(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code !== 0) throw new Error(`${argv.join(" ")} failed with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Starts a daemon, which is ended with the host at the latest. */
  start(argv: readonly string[]): Deno.ChildProcess {
    const daemon = this.#spawn(["sh", "-c", 'exec "$0" "$@" >>"$LOG" 2>&1', ...argv], undefined, "null");
    this.#daemons.push(daemon);
    return daemon;
  }

  /** What daemons have written. */
  get log(): string {
    return Deno.readTextFileSync(`${this.folder}/log`);
  }

  #spawn(argv: readonly string[], user: number | undefined, output: "piped" | "null"): Deno.ChildProcess {
    const ids = user === undefined
      ? []
      : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
    return new Deno.Command("nsenter", {
      args: [`--mount=/proc/${this.#holder.pid}/ns/mnt`, "--", ...ids, ...argv],
      env: { PATH: SERVICE_PATH, LOG: `${this.folder}/log`, HOME: "/" },
      cwd: "/",
      stdin: "null",
      stdout: output,
      stderr: output,
    }).spawn();
  }

  /** Every file of the system's folders, with what it is and has; of /var/lib, where others write too, the first level. */
  async listing(): Promise<string[]> {
    const files = await this.must([
      "find",
      ...COMPARED,
      "!",
      "-type",
      "d",
      "-printf",
      "%p %y %#m %U:%G %s %l\\n",
    ]);
    const folders = await this.must(["find", ...COMPARED, "-type", "d", "-printf", "%p %y %#m %U:%G\\n"]);
    const states = await this.must(["find", "/var/lib", "-maxdepth", "1", "-printf", "%p %y %#m %U:%G\\n"]);
    const sums = await this.must(["find", ...COMPARED, "-type", "f", "-exec", "sha256sum", "{}", "+"]);
    return `${files}${folders}${states}${sums}`.split("\n").sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.#daemons.reverse()) {
      try {
        daemon.kill("SIGTERM");
      } catch {
        // gone meanwhile
      }
      await daemon.status;
    }
    this.#holder.kill("SIGKILL");
    await this.#holder.status;
    // the layers are in use until the kernel has forgotten the namespace
    await until(
      "its files can be removed",
      () => Deno.remove(this.folder, { recursive: true }).then(() => true, () => false),
    );
  }
}
