/** The daemon that serves a folder of the host to a VM by virtio-fs. */

import { Daemon, describeStatus } from "../sys/daemon.ts";
import { isFile } from "../sys/exists.ts";
import { OwnedFd, setNonblock } from "../sys/fd.ts";
import type { ExitStatus } from "../sys/process.ts";
import { StepError } from "../sys/program.ts";
import { listenUnix } from "../sys/socket.ts";
import { findExecutable } from "../sys/spawn.ts";
import { openFilesLimit } from "./open_files.ts";
import { flavorOf, virtiofsdArguments, type VirtiofsdFlavor } from "./virtiofsd_args.ts";
import { Timer } from "../sys/timer.ts";

/** What to serve, and with what. */
export interface VirtiofsdOptions {
  /** The program: the C one of QEMU or the Rust one, absolute or looked up in PATH; "": the one installed. */
  readonly path: string;
  /** Folder that the guest sees. Mounts that appear below it later are seen, too. */
  readonly sharedDir: string;
  /** Where the VM connects to; listening when {@linkcode startVirtiofsd} returns. */
  readonly socketPath: string;
  /** "auto", "always", "metadata" or "never". */
  readonly cache: string;
  /** More arguments, in the language of the Rust program; the usual ones are translated for the C one. */
  readonly extraArgs: readonly string[];
  /** Path of the network namespace to run in; default: the caller's. */
  readonly netns?: string;
  /** Receives each line that the daemon writes. */
  onLog(line: string): void;
}

/** How the daemon ended. */
export interface VirtiofsdExit {
  readonly status: ExitStatus;
  /** One sentence. */
  readonly message: string;
}

/** A running daemon. Disposing of it is {@linkcode Virtiofsd.stop}. */
export interface Virtiofsd extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when the daemon is gone, for whatever reason. The VM's files are gone then, too. */
  readonly exited: Promise<VirtiofsdExit>;
  /** Kills it, waits for its end, removes its socket. Safe to call again. */
  stop(): Promise<void>;
}

/** Descriptor of the listening socket in the daemon. */
const SOCKET_FD = 3;

/** How long the daemon may take to tell its version, in milliseconds. */
const VERSION_MS = 30_000;

/**
 * Starts the daemon. It serves one VM, and ends when that is gone; it dies with the caller.
 *
 * @throws {Error} a sentence: no such program, not a virtiofsd, no such folder, a cache mode it does not have
 */
export async function startVirtiofsd(options: VirtiofsdOptions): Promise<Virtiofsd> {
  checkFolder(options.sharedDir);
  const path = options.path === "" ? findInstalled() : options.path;
  const args = virtiofsdArguments({
    flavor: await detectFlavor(path),
    sharedDir: options.sharedDir,
    fd: SOCKET_FD,
    cache: options.cache,
    extraArgs: options.extraArgs,
    openFiles: openFilesLimit(),
  });
  await using taken = new AsyncDisposableStack();
  removeFile(options.socketPath);
  const listener = taken.use(new OwnedFd(listenUnix(options.socketPath, { mode: 0o600 }).release()));
  taken.defer(() => removeFile(options.socketPath));
  setNonblock(listener.fd, false); // the C program does not wait for the connection otherwise
  const daemon = taken.use(
    await run(path, {
      argv: [path, ...args],
      fds: new Map([[SOCKET_FD, listener.fd]]),
      netns: options.netns,
      onLine: (line) => options.onLog(line),
    }),
  );
  listener.close(); // so that connections end with the daemon
  return new RunningVirtiofsd(daemon, taken.move());
}

class RunningVirtiofsd implements Virtiofsd {
  readonly pid: number;
  readonly exited: Promise<VirtiofsdExit>;
  readonly #taken: AsyncDisposableStack;
  #stopped: Promise<void> | undefined;

  constructor(daemon: Daemon, taken: AsyncDisposableStack) {
    this.pid = daemon.pid;
    this.#taken = taken;
    this.exited = this.#watch(daemon);
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#taken.disposeAsync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #watch(daemon: Daemon): Promise<VirtiofsdExit> {
    const { status, lastLines } = await daemon.exited;
    if (this.#stopped) return { status, message: "virtiofsd was stopped" };
    const said = lastLines.at(-1);
    return { status, message: `virtiofsd ${describeStatus(status)}${said === undefined ? "" : `: ${said}`}` };
  }
}

function checkFolder(path: string): void {
  let isFolder = false;
  try {
    isFolder = Deno.statSync(path).isDirectory;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (!isFolder) throw new Error(`virtiofsd can only share a folder: "${path}" is none`);
}

/** Where distributions put it; it is not for users, so it is not in PATH. The Rust one first. */
const INSTALLED = [
  "/usr/libexec/virtiofsd",
  "/usr/lib/virtiofsd",
  "/usr/lib/qemu/virtiofsd",
  "/usr/libexec/qemu/virtiofsd",
];

function findInstalled(): string {
  const installed = INSTALLED.find(isFile);
  if (installed !== undefined) return installed;
  try {
    return findExecutable("virtiofsd", Deno.env.get("PATH"));
  } catch {
    throw new Error(`there is no virtiofsd: it is neither in PATH nor one of ${INSTALLED.join(", ")}`);
  }
}

/** Asks the program for its version; a few milliseconds, and the only thing that is sure. */
async function detectFlavor(path: string): Promise<VirtiofsdFlavor> {
  await using daemon = await run(path, { argv: [path, "--version"], onLine: () => {} });
  const timer = new Timer(VERSION_MS, () => daemon.kill());
  const { status, lastLines } = await daemon.exited;
  timer.cancel();
  const flavor = flavorOf(lastLines.join("\n"));
  if (flavor !== undefined) return flavor;
  const said = lastLines.length > 0 ? `, and wrote "${lastLines.join(" | ")}"` : "";
  throw new Error(`"${path}" is not a virtiofsd: asked for its version it ${describeStatus(status)}${said}`);
}

async function run(path: string, options: Parameters<typeof Daemon.start>[0]): Promise<Daemon> {
  try {
    return await Daemon.start(options);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    // Any other step than finding and executing it has to be named.
    const reason = /^(find|execve) /.test(error.step) ? error.code : error.message;
    throw new Error(`cannot start virtiofsd "${path}": ${reason}`, { cause: error });
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
