import { isErrno } from "../sys/errors.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";

const VHOST_NET = "/dev/vhost-net";

/** Opens vhost-net once per queue; returns none if the host does not have it, and QEMU moves the packets itself. */
export function openVhost(count: number): OwnedFd[] {
  using taken = new DisposableStack();
  const fds: OwnedFd[] = [];
  try {
    for (let i = 0; i < count; i++) fds.push(taken.use(new OwnedFd(openFd(VHOST_NET, O.RDWR))));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV", "ENXIO")) return [];
    throw error;
  }
  taken.move();
  return fds;
}
