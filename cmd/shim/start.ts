/**
 * `start`: makes the socket, starts the server behind it, tells containerd where it is.
 *
 * containerd waits for this process, so it loads as little as it can. Its output, standard error included, is taken
 * for the address: nothing else may be printed when it succeeds.
 *
 * @module
 */

import { validateId } from "../../sandbox/state/ids.ts";
import { isErrno } from "../../sys/errors.ts";
import { connectUnix, type Listener, listenUnix } from "../../sys/socket.ts";
import { spawn } from "../../sys/spawn.ts";
import { addressOf, SOCKET_FOLDER, socketPath } from "./address.ts";
import type { ShimFlags } from "./flags.ts";
import { groupOf, readAnnotations } from "./grouping.ts";
import { readInput } from "./read_input.ts";
import { selfCommand } from "./self.ts";

const SOCKET_MODE = 0o600;
const FOLDER_MODE = 0o700;
const LISTENER_FD = 3;

const MAX_OOM_SCORE = 1000;

/** @returns the exit code; the address is on standard output then */
export async function start(argv0: string, flags: ShimFlags): Promise<number> {
  validateId("shim id", flags.id);
  const bundle = Deno.cwd();
  const { socketFolder, configPath } = await inputOf(flags);
  const group = groupOf(readAnnotations(bundle), flags.id);
  const path = await socketPath(flags.address, flags.namespace, group.sandboxId, socketFolder);
  if (group.kind === "pod_container") {
    requireSocket(path, group.sandboxId);
    return answer(bundle, path);
  }
  const listener = await listen(path);
  // the socket's owner lives already: it serves this sandbox, too
  if (listener === "in use") return answer(bundle, path);
  try {
    // the server looks the address up when it goes
    Deno.writeTextFileSync(`${bundle}/address`, addressOf(path));
    const pid = await startServer(argv0, { flags, bundle, listener, configPath });
    try {
      Deno.writeTextFileSync(`${bundle}/shim.pid`, String(pid));
      return answer(bundle, path);
    } catch (error) {
      Deno.kill(pid, "SIGKILL");
      throw error;
    }
  } catch (error) {
    removeFile(path);
    throw error;
  }
}

/** The folder of sockets, which a containerd from 2.3 on may name, and the configuration that the client asks for. */
async function inputOf(flags: ShimFlags): Promise<{ socketFolder: string; configPath?: string | undefined }> {
  const input = readInput();
  if (input.length === 0) return { socketFolder: SOCKET_FOLDER };
  const { bootstrapOf, configPathIn } = await import("./bootstrap.ts");
  const params = bootstrapOf(input, flags);
  return { socketFolder: params?.socketDir || SOCKET_FOLDER, configPath: configPathIn(input, params) };
}

function requireSocket(path: string, sandboxId: string): void {
  try {
    Deno.lstatSync(path);
  } catch {
    throw new Error(`sandbox "${sandboxId}" is not running: there is no socket "${path}"`);
  }
}

/** Listens, or finds that somebody does. A socket that nobody answers on is what a crash left. */
async function listen(path: string): Promise<Listener | "in use"> {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: FOLDER_MODE });
  try {
    return listenUnix(path, { mode: SOCKET_MODE });
  } catch (error) {
    if (!isErrno(error, "EADDRINUSE")) throw error;
  }
  if (await answers(path)) return "in use";
  removeFile(path);
  return listenUnix(path, { mode: SOCKET_MODE });
}

async function answers(path: string): Promise<boolean> {
  try {
    (await connectUnix(path)).close();
    return true;
  } catch {
    return false;
  }
}

interface Server {
  readonly flags: ShimFlags;
  readonly bundle: string;
  readonly listener: Listener;
  /** for a pod that is created as such; requests to create a container name it again */
  readonly configPath: string | undefined;
}

/** Starts the same program without an action word. */
async function startServer(
  argv0: string,
  { flags, bundle, listener, configPath }: Server,
): Promise<number> {
  if (Deno.env.get("SCHED_CORE")) (await import("./core_scheduling.ts")).shareCores();
  const self = selfCommand();
  const child = await spawn({
    argv: [self.path, ...self.args, ...serverArguments(flags)],
    argv0,
    cwd: bundle,
    ...(configPath !== undefined && { env: { ...Deno.env.toObject(), KATA_CONF_FILE: configPath } }),
    fds: new Map([[LISTENER_FD, listener.fd]]),
    processGroup: true,
    newMountNamespace: "slave-shared",
    oomScoreAdj: oomScore(),
  });
  return child.pid;
}

function serverArguments(flags: ShimFlags): string[] {
  const args = ["-namespace", flags.namespace, "-id", flags.id, "-address", flags.address];
  if (flags.publishBinary !== "") args.push("-publish-binary", flags.publishBinary);
  if (flags.debug) args.push("-debug");
  return args;
}

/** A little more than containerd's own, so that the kernel kills a shim before the engine. */
function oomScore(): number | undefined {
  try {
    const parent = Number(Deno.readTextFileSync(`/proc/${Deno.ppid}/oom_score_adj`));
    return Math.min(parent + 1, MAX_OOM_SCORE);
  } catch {
    return undefined;
  }
}

/** containerd up to 1.7 finds a running shim by this file after its own restart. */
function answer(bundle: string, path: string): number {
  Deno.writeTextFileSync(`${bundle}/address`, addressOf(path));
  Deno.stdout.writeSync(new TextEncoder().encode(addressOf(path)));
  return 0;
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // somebody else did
  }
}
