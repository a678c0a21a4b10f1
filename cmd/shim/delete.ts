/**
 * `delete`: cleans up, from a fresh process, whatever a container may have left.
 *
 * containerd runs it whenever the connection to a shim has ended, after every orderly end as well as after a crash.
 * Standard output carries the answer and nothing else.
 *
 * @module
 */

import { timestamp } from "../../rpc/any.ts";
import { DeleteResponseSchema } from "../../rpc/gen/task_pb.ts";
import { toBinary } from "../../rpc/message.ts";
import { unmountRootfs } from "../../fs/rootfs.ts";
import { destroySandbox, endProcess } from "../../sandbox/cleanup.ts";
import { validateId } from "../../sandbox/ids.ts";
import { type Log, reason } from "../../sandbox/log.ts";
import { HOST_PATHS } from "../../sandbox/paths.ts";
import { identify, type ProcessIdentity } from "../../sandbox/process_identity.ts";
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
    const server = await serverOf(bundle, flags);
    if (server !== undefined) await endProcess(server, SERVER_GRACE_MS, log);
    const saved = await destroySandbox(HOST_PATHS, { id: flags.id, bundle }, log);
    pid = saved?.helpers.find(({ role }) => role === "vmm")?.pid ?? 0;
    await removeSocket(bundle);
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

/** The server that `start` left in the bundle, if its pid still means it: its command line says whose it is. */
async function serverOf(bundle: string, { id, namespace }: ShimFlags): Promise<ProcessIdentity | undefined> {
  try {
    const server = identify(Number(await Deno.readTextFile(`${bundle}/shim.pid`)));
    if (server === undefined) return undefined;
    const commandLine = await Deno.readTextFile(`/proc/${server.pid}/cmdline`);
    const ours = commandLine.includes(`\0-namespace\0${namespace}\0`) &&
      commandLine.includes(`\0-id\0${id}\0`);
    return ours ? server : undefined;
  } catch {
    return undefined;
  }
}

/** The server removes its socket when it goes in order. */
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
