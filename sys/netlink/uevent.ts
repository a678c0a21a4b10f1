import { isErrno } from "../errors.ts";
import type { AsyncFd } from "../poll.ts";
import { NETLINK, openNetlink } from "./socket.ts";

/** Something happened to a device. */
export interface Uevent {
  /** "add", "remove", "change", "bind", "online", ... */
  readonly action: string;
  /** Path below /sys: "/devices/pci0000:00/...". */
  readonly path: string;
  /** All variables: SUBSYSTEM, DEVNAME, ... */
  readonly variables: ReadonlyMap<string, string>;
}

const KERNEL_GROUP = 1;
const BUFFER_SIZE = 16 * 1024;

/** Parses a datagram of the kernel: "add@/devices/x", then "NAME=value" each with a NUL; undefined if it is none. */
export function parseUevent(datagram: Uint8Array): Uevent | undefined {
  const [head = "", ...lines] = new TextDecoder().decode(datagram).split("\0");
  const at = head.indexOf("@");
  if (at < 0) return undefined;
  const variables = new Map<string, string>();
  for (const line of lines) {
    const equals = line.indexOf("=");
    if (equals > 0) variables.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return { action: head.slice(0, at), path: head.slice(at + 1), variables };
}

/** Listens to what the kernel tells about devices, from its construction on. */
export class Uevents implements Disposable {
  readonly #socket: AsyncFd = openNetlink(NETLINK.KOBJECT_UEVENT, KERNEL_GROUP);
  readonly #buffer = new Uint8Array(BUFFER_SIZE);

  /**
   * Waits for the next event.
   *
   * @returns "lost" if so many came at once that the kernel dropped some: look at /sys again
   * @throws {SysError} `EBADF` when closed meanwhile
   */
  async next(): Promise<Uevent | "lost"> {
    for (;;) {
      try {
        const length = await this.#socket.read(this.#buffer);
        const event = parseUevent(this.#buffer.subarray(0, length));
        if (event) return event;
      } catch (error) {
        if (isErrno(error, "ENOBUFS")) return "lost";
        throw error;
      }
    }
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
