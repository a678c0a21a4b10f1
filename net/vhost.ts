import { isErrno } from "../sys/errors.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";

const VHOST_NET = "/dev/vhost-net";

/** Opens the host's kernel's way to move packets, once per queue. The host has it, or not: none then. Both work. */
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
