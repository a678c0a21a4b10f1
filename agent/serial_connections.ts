import { ERRNO, isErrno } from "../sys/errors.ts";
import { openVirtioPort, VirtioPort } from "../sys/virtio_port.ts";

/**
 * One client's time on a virtio-serial port.
 *
 * The port is one stream for as long as the machine lives, but clients come and go on the host's side of it, and each
 * expects a connection of its own. So the end of the host's side ends the stream here, together with what was still to
 * be written to that client. The port itself stays open: to close it would drop what the next client has sent already.
 */
class SerialConnection extends VirtioPort {
  /** The port, for the next connection, once this one is closed. */
  port: number | undefined;

  override close(): void {
    const fd = this.release();
    if (fd >= 0) this.port = fd;
  }

  protected override tryRead(into: Uint8Array): number {
    const result = super.tryRead(into);
    return result === -ERRNO.EAGAIN && !this.connected ? 0 : result;
  }
}

/** How long the port may take to appear after its driver was loaded, and how often it is looked for. */
const APPEAR_TIMEOUT_MS = 10_000;
const APPEAR_PAUSE_MS = 2;

/**
 * Serves a port by its name, one client after the other, until `signal` is aborted.
 *
 * @param serve serves one connection, and closes it
 * @throws {Error} a sentence, if there is no such port
 */
export async function serveSerialPort(
  name: string,
  serve: (connection: VirtioPort) => Promise<void>,
  signal: AbortSignal,
  listening: () => void,
): Promise<void> {
  let fd = (await openPort(name)).release();
  listening();
  while (!signal.aborted) {
    const connection = new SerialConnection(fd, name);
    const stop = () => connection.close();
    signal.addEventListener("abort", stop);
    try {
      await connection.untilConnected();
      await serve(connection);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      connection.close();
    }
    fd = connection.port ?? fd;
  }
}

/** The driver makes the port, and learns its name, after its own start: the host is asked for both. */
async function openPort(name: string): Promise<VirtioPort> {
  for (const start = performance.now();;) {
    try {
      return openVirtioPort(name);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      if (performance.now() - start > APPEAR_TIMEOUT_MS) {
        throw new Error(`no virtio-serial port "${name}" appeared in ${APPEAR_TIMEOUT_MS} ms`, {
          cause: error,
        });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, APPEAR_PAUSE_MS));
  }
}
