import { isErrno } from "../../../sys/errors.ts";
import { CLONE, unshare } from "../../../sys/host.ts";
import { mount, MS } from "../../../sys/mount.ts";

/**
 * Gives this program a mount namespace of its own, so that its mounts reach nobody else and vanish with it, however
 * it ends. Mounts of the host still arrive; ours pass between the shared folders (hence shared again).
 *
 * Only the calling thread moves. That is enough: mounts are made, and processes are started, by synchronous calls of
 * this thread, and the runtime's other threads have no business with them.
 *
 * @throws {Error} a sentence: it takes rights that the caller does not have
 */
export function isolateMounts(): void {
  try {
    unshare(CLONE.NEWNS);
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error;
    throw new Error("only root can run containers: sudo kata-runtime run …", { cause: error });
  }
  mount("none", "/", "", MS.REC | MS.SLAVE);
  mount("none", "/", "", MS.REC | MS.SHARED);
}
