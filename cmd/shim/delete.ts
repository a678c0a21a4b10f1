/**
 * `delete`: cleans up, from a fresh process, whatever a container may have left.
 *
 * containerd runs it whenever the connection to a shim has ended, after every orderly end as well as after a crash.
 * Standard output carries the answer and nothing else.
 *
 * @module
 */

import { unmountRootfs } from "../../fs/rootfs.ts";
import { timestamp } from "../../rpc/any.ts";
import { DeleteResponseSchema } from "../../rpc/gen/task_pb.ts";
import { toBinary } from "../../rpc/message.ts";
import { type Log, reason } from "../../sandbox/log/log.ts";
import { destroySandbox, endProcess } from "../../sandbox/state/cleanup.ts";
import { validateId } from "../../sandbox/state/ids.ts";
import { HOST_PATHS } from "../../sandbox/state/paths.ts";
import { identify, type ProcessIdentity } from "../../sandbox/state/process_identity.ts";
import { pathOfAddress } from "./address.ts";
import type { ShimFlags } from "./flags.ts";
import { type Group, groupOf, readAnnotations } from "./grouping.ts";

/** 128 + SIGKILL: what a process that is not there any more is taken to have ended with. */
const KILLED = 137;

/** How long a server that is still there may take to go in order, in milliseconds; containerd waits 5 s in all. */
const SERVER_GRACE_MS = 2_000;

/** @returns the exit code */
export async function deleteCommand(flags: ShimFlags): Promise<number> {
  validateId("shim id", flags.id);
  const bundle = flags.bundle === "" ? Deno.cwd() : flags.bundle;
  const log = stderrLog(flags.debug);
  const group = groupOfBundle(bundle, flags.id, log);
  let pid = 0;
  // a sandbox that other containers use is not this one's to end
  if (group.sandboxId === flags.id) {
    // first what is quick: whoever runs this may not wait for the end of it
    await removeSocket(bundle);
    const server = await serverOf(bundle, flags);
    if (server !== undefined) await endProcess(server, SERVER_GRACE_MS, log);
    const saved = await destroySandbox(HOST_PATHS, { id: flags.id, bundle }, log);
    pid = saved?.helpers.find(({ role }) => role === "vmm")?.pid ?? 0;
  }
  unmountRootfs(`${bundle}/rootfs`);
  const answer = toBinary(DeleteResponseSchema, { pid, exitStatus: KILLED, exitedAt: timestamp() });
  for (let done = 0; done < answer.length;) done += Deno.stdout.writeSync(answer.subarray(done));
  return 0;
}

/** A bundle that cannot be read any more is no reason to leave a machine running. */
function groupOfBundle(bundle: string, id: string, log: Log): Group {
  try {
    return groupOf(readAnnotations(bundle), id);
  } catch (error) {
    log.write("warning", reason(error));
    return { kind: "single_container", sandboxId: id };
  }
}

/**
 * The server that `start` left in the bundle, if its pid still means it: its command line says whose it is. A `start`
 * that was killed in the middle may have left one without its pid.
 */
async function serverOf(bundle: string, flags: ShimFlags): Promise<ProcessIdentity | undefined> {
  let noted: number;
  try {
    noted = Number(await Deno.readTextFile(`${bundle}/shim.pid`));
  } catch {
    for (const { name } of Deno.readDirSync("/proc")) {
      const pid = Number(name);
      if (pid !== Deno.pid && isServer(pid, flags) && isIn(pid, bundle)) return identify(pid);
    }
    return undefined;
  }
  const server = identify(noted);
  return server !== undefined && isServer(noted, flags) ? server : undefined;
}

function isServer(pid: number, { id, namespace }: ShimFlags): boolean {
  try {
    const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
    const isCommand = /\0(start|delete)\0$/.test(line);
    return !isCommand && line.includes(`\0-namespace\0${namespace}\0`) && line.includes(`\0-id\0${id}\0`);
  } catch {
    return false;
  }
}

/** Ids of several clients may be the same, bundles are not. */
function isIn(pid: number, folder: string): boolean {
  try {
    return Deno.readLinkSync(`/proc/${pid}/cwd`) === Deno.realPathSync(folder);
  } catch {
    return false;
  }
}

/** The server does so, too, when it goes in order. */
async function removeSocket(bundle: string): Promise<void> {
  try {
    await Deno.remove(pathOfAddress((await Deno.readTextFile(`${bundle}/address`)).trim()));
  } catch {
    // neither the file nor the socket has to be there
  }
}

function stderrLog(debug: boolean): Log {
  return {
    write(level, message) {
      if (level !== "debug" || debug) console.error(`level=${level} msg=${JSON.stringify(message)}`);
    },
  };
}
