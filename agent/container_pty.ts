import { isErrno } from "../sys/errors.ts";
import { O, openat2, openFd, OwnedFd, RESOLVE } from "../sys/fd.ts";
import { majorOf, minorOf, statFd } from "../sys/file.ts";
import { openPty, type Pty } from "../sys/pty.ts";
import { fstatfs } from "../sys/statfs.ts";
import { pathOf } from "./storage/beneath.ts";

/** Magic number of devpts (linux/magic.h), and the device that makes terminals. */
const DEVPTS_MAGIC = 0x1cd1;
const PTMX = { major: 5, minor: 2 } as const;

/**
 * Makes a terminal in the devpts of a running container, so that programs there find its name; in the agent's own if
 * the container has none.
 *
 * @param pid a process of the container
 */
export function openContainerPty(pid: number): Pty {
  using ptmx = findPtmx(pid);
  return ptmx ? openPty({ ptmx: pathOf(ptmx) }) : openPty();
}

/** The container controls that path: it is checked before it is opened for use. */
function findPtmx(pid: number): OwnedFd | undefined {
  try {
    using root = new OwnedFd(openFd(`/proc/${pid}/root`, O.PATH | O.DIRECTORY));
    const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
    using found = new OwnedFd(openat2(root.fd, "dev/pts/ptmx", { flags: O.PATH, resolve }));
    const { rdev } = statFd(found.fd);
    const isPtmx = majorOf(rdev) === PTMX.major && minorOf(rdev) === PTMX.minor;
    if (!isPtmx || fstatfs(found.fd).type !== DEVPTS_MAGIC) return undefined;
    return new OwnedFd(found.release());
  } catch (error) {
    if (isErrno(error)) return undefined;
    throw error;
  }
}
