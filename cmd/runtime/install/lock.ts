/**
 * One installation at a time.
 *
 * @module
 */

import { isErrno } from "../../../sys/errors.ts";
import { isFolder } from "../../../sys/exists.ts";
import { flockFd, O, openFd, OwnedFd } from "../../../sys/fd.ts";

/** Held as long as something is installed or taken away; the kernel drops it with the process. */
export interface InstallationLock extends Disposable {
  /** Lets others go on. Safe to call again. */
  release(): void;
}

/**
 * Takes the lock of a machine, or of the staging folder that stands for one: that of a folder that is there in any case,
 * so that no file is left behind.
 *
 * @param root staging folder; empty for this machine itself
 * @throws {Error} a sentence: somebody else is at it
 */
export function lockInstallation(root: string): InstallationLock {
  if (root !== "") Deno.mkdirSync(root, { recursive: true });
  const path = root === "" ? (isFolder("/var/lib") ? "/var/lib" : "/") : root;
  const folder = new OwnedFd(openFd(path, O.RDONLY | O.DIRECTORY));
  try {
    flockFd(folder.fd, "exclusive");
  } catch (error) {
    folder.close();
    if (!isErrno(error, "EAGAIN")) throw error;
    const where = root === "" ? "on this machine" : `in "${root}"`;
    throw new Error(`another install or uninstall is at work ${where}: wait until it has ended`, {
      cause: error,
    });
  }
  return { release: () => folder.close(), [Symbol.dispose]: () => folder.close() };
}
