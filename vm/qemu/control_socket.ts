/**
 * Unix sockets that QEMU serves: made, and connected to, before QEMU exists.
 *
 * So there is nothing to wait for, and if QEMU dies at once the connection ends instead of never being answered. The
 * socket's file stays, for later connections.
 */

import { closeFd } from "../../sys/fd.ts";
import type { AsyncFd } from "../../sys/poll.ts";
import { connectUnix, listenUnix } from "../../sys/socket.ts";
import { removeFile } from "./files.ts";

/** A socket's file, and the descriptor that QEMU gets. */
export class ServedSocket implements Disposable {
  readonly path: string;
  #listener: number;

  private constructor(path: string, listener: number) {
    this.path = path;
    this.#listener = listener;
  }

  /** Makes the socket; a file that an earlier process left there is replaced. */
  static create(path: string): ServedSocket {
    removeFile(path);
    return new ServedSocket(path, listenUnix(path, { mode: 0o600 }).release());
  }

  /** What QEMU inherits, until {@linkcode handedOver}. */
  get fd(): number {
    return this.#listener;
  }

  /** A connection, answered by the process that has inherited the listener. The caller owns it. */
  connect(): Promise<AsyncFd> {
    return connectUnix(this.path);
  }

  /** Closes our copy of the listener: from now on connections end with QEMU. Safe to call again. */
  handedOver(): void {
    if (this.#listener >= 0) closeFd(this.#listener);
    this.#listener = -1;
  }

  /** Closes what is ours and removes the file. */
  [Symbol.dispose](): void {
    this.handedOver();
    removeFile(this.path);
  }
}
