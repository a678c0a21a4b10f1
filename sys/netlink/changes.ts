import { isErrno } from "../errors.ts";
import type { AsyncFd } from "../poll.ts";
import { trySyscall } from "../syscall.ts";
import { NETLINK, openNetlink } from "./socket.ts";

/** What can be listened to, as bits. */
export const RTMGRP = {
  LINK: 0x1,
  NEIGH: 0x4,
  IPV4_IFADDR: 0x10,
  IPV4_ROUTE: 0x40,
  IPV6_IFADDR: 0x100,
  IPV6_ROUTE: 0x400,
} as const;

const BUFFER_SIZE = 64 * 1024;

/**
 * Tells, from its construction on, that something of a network namespace has changed. What it was is not told, as the
 * kernel drops messages when many come at once: look again.
 */
export class NetworkChanges implements Disposable {
  readonly #socket: AsyncFd;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);

  /**
   * @param groups bits of {@linkcode RTMGRP}
   * @param namespace path or descriptor of a network namespace; one's own if left out
   */
  constructor(groups: number, namespace?: string | number) {
    this.#socket = openNetlink(NETLINK.ROUTE, groups, namespace);
  }

  /**
   * Resolves when something has changed since the last call, or since the construction.
   *
   * @throws {SysError} `EBADF` when closed meanwhile
   */
  async next(): Promise<void> {
    try {
      await this.#socket.read(this.#buffer);
    } catch (error) {
      if (!isErrno(error, "ENOBUFS")) throw error;
    }
    // the rest is no further news; what comes after the first failure, of whatever kind, is
    while (trySyscall("read", [this.#socket.fd, this.#buffer, this.#buffer.length]) > 0);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
