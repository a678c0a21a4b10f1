/** TCP sockets where an address alone does not say in which network they are. */

import { closeFd } from "./fd.ts";
import { Listener } from "./socket.ts";
import { syscall } from "./syscall.ts";

const SOCK_STREAM = 1;
const SOCK_FLAGS = 0o2000000 | 0o4000; // close-on-exec, non-blocking
const BACKLOG = 128;

/** Address families. */
export const FAMILY = { INET: 2, INET6: 10 } as const;

/** A family of addresses. */
export type Family = keyof typeof FAMILY;

/** Sizes of sockaddr_in and sockaddr_in6; the port is the same in both, in network order. */
const ADDRESS_SIZE = { INET: 16, INET6: 28 } as const;
const PORT_AT = 2;
const INET_ADDRESS_AT = 4, INET6_ADDRESS_AT = 8;

/**
 * Listens on the loopback address of the network namespace that this thread is in, on a port that the kernel chooses.
 *
 * @throws {SysError} `EAFNOSUPPORT`, `EADDRNOTAVAIL` where there is no such address
 */
export function listenLoopback(family: Family): Listener {
  const address = new Uint8Array(ADDRESS_SIZE[family]);
  new DataView(address.buffer).setUint16(0, FAMILY[family], true);
  if (family === "INET") address.set([127, 0, 0, 1], INET_ADDRESS_AT);
  else address[INET6_ADDRESS_AT + 15] = 1;
  const fd = syscall("socket", [FAMILY[family], SOCK_STREAM | SOCK_FLAGS, 0]);
  try {
    syscall("bind", [fd, address, address.length], "loopback");
    syscall("listen", [fd, BACKLOG], "loopback");
    return Listener.fromFd(fd, "loopback");
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** The port that a connection came to. @throws {SysError} `ENOTCONN` */
export function localPort(fd: number): number {
  const address = new Uint8Array(ADDRESS_SIZE.INET6);
  const length = new Uint8Array(new Uint32Array([address.length]).buffer);
  syscall("getsockname", [fd, address, length], String(fd));
  return new DataView(address.buffer).getUint16(PORT_AT);
}
