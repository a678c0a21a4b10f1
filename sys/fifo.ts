import { ERRNO } from "./errors.ts";
import { O, openFd } from "./fd.ts";
import { AsyncFd, POLL, pollNow } from "./poll.ts";

/** The reading end of a FIFO, for which nobody having opened the writing end yet is not the end. */
class FifoReader extends AsyncFd {
  protected override tryRead(into: Uint8Array): number {
    const result = super.tryRead(into);
    // Without a writer a read gives 0, before the first as after the last. Only poll knows the difference: it tells a
    // hang-up only after a writer came since this end was opened.
    if (result === 0 && (pollNow(this.fd, 0) & POLL.HUP) === 0) return -ERRNO.EAGAIN;
    return result;
  }
}

/**
 * Opens a FIFO for reading, without waiting for a writer. Reads wait for the first writer; the end comes when the last
 * writer has closed.
 *
 * @throws {SysError} naming the path
 */
export function openFifoReader(path: string): AsyncFd {
  return new FifoReader(openFd(path, O.RDONLY | O.NONBLOCK), path);
}

/**
 * Opens a FIFO for writing. It is opened for reading too, so that a reader that is not there yet, or went and comes
 * back, is no error: what is written waits in the pipe, and writes wait when it is full.
 *
 * @throws {SysError} naming the path
 */
export function openFifoWriter(path: string): AsyncFd {
  return new AsyncFd(openFd(path, O.RDWR | O.NONBLOCK), path);
}
