import { ERRNO, SysError } from "./errors.ts";
import { EPOLL } from "./event_loop.ts";
import { O, openFd } from "./fd.ts";
import { AsyncFd, POLL, pollNow } from "./poll.ts";

const CLASS = "/sys/class/virtio-ports";

/**
 * A port of a virtio console. While the host side is closed a read gives 0 and poll tells a hang-up, both without end;
 * here that means "not now", and reads and writes wait for the host. Events are edge-triggered, so that waiting costs
 * nothing: the driver makes one when the host opens or closes its side and when data comes.
 */
export class VirtioPort extends AsyncFd {
  /** Whether the host side is open now. */
  get connected(): boolean {
    return this.fd >= 0 && (pollNow(this.fd, POLL.IN | POLL.OUT) & POLL.HUP) === 0;
  }

  /** Resolves when the host side is open. @throws {SysError} `EBADF` when closed here meanwhile */
  async untilConnected(): Promise<void> {
    // Writability is what makes the event: an open side without data has nothing else to tell.
    while (!this.connected) await this.nextEvent(EPOLL.IN | EPOLL.OUT);
  }

  /** Data always waits for the host: there is no end of the stream but closing the port here. */
  protected override tryRead(into: Uint8Array): number {
    const result = super.tryRead(into);
    return result === 0 ? -ERRNO.EAGAIN : result;
  }
}

/**
 * The device path of the port that the host named `name`.
 *
 * @throws {SysError} `ENOENT` if there is none
 */
export function findVirtioPort(name: string, folder: string = CLASS): string {
  for (const entry of listFolder(folder)) {
    if (readText(`${folder}/${entry}/name`).trim() === name) return `/dev/${entry}`;
  }
  throw new SysError("find virtio port", ERRNO.ENOENT, name);
}

/** Opens the port that the host named `name`. Only one can have a port open. @throws {SysError} `ENOENT`, `EBUSY` */
export function openVirtioPort(name: string): VirtioPort {
  const path = findVirtioPort(name);
  return new VirtioPort(openFd(path, O.RDWR | O.NONBLOCK), path);
}

function listFolder(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), (entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // no virtio console at all
    throw error;
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return ""; // unplugged meanwhile, or a port without a name
    throw error;
  }
}
