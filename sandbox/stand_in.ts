/**
 * A process of the host that stands for a container of a pod.
 *
 * All containers of a pod are in one machine, so its pid says nothing about which of them is meant. Engines name a
 * container by its pid, though, when another one is to join its processes (`kubectl debug --target`).
 *
 * @module
 */

import { fchmodFd, memfd, OwnedFd, writeFd } from "../sys/fd.ts";
import { idleExecutable } from "../sys/native/idle.ts";
import { SIGNALS } from "../sys/signals.ts";
import { spawn } from "../sys/spawn.ts";

/** What lists of processes show. */
const NAME = "kata-container";

/** Descriptor of the program in the process. */
const PROGRAM_FD = 3;

/**
 * Starts a process that does nothing, in a few pages of memory. It ends with this process, or when it is disposed of.
 *
 * @param pid of the process whose network namespace it is in, so that tools which enter it by a container's pid do
 * @throws {StepError} it cannot be started
 */
export async function startStandIn(pid: number): Promise<AsyncDisposable & { readonly pid: number }> {
  using program = new OwnedFd(memfd(NAME));
  writeFd(program.fd, idleExecutable());
  fchmodFd(program.fd, 0o111);
  return await spawn({
    argv: [`/proc/self/fd/${PROGRAM_FD}`],
    argv0: NAME,
    env: {},
    fds: new Map([[PROGRAM_FD, program.fd]]),
    netns: `/proc/${pid}/ns/net`,
    parentDeathSignal: SIGNALS.SIGKILL,
    processGroup: true,
  });
}
