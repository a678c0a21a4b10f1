import type { ByteStream } from "../rpc/stream.ts";
import { ERRNO, isErrno } from "../sys/errors.ts";
import { closeFd } from "../sys/fd.ts";
import { openVirtioPort, VirtioPort } from "../sys/virtio_port.ts";
import { delay } from "../sys/timer.ts";

/** How long the port may take to appear after its driver was loaded, and how often it is looked for. */
const APPEAR_TIMEOUT_MS = 10_000;
const APPEAR_PAUSE_MS = 1;

/**
 * A virtio-serial port as a place where connections come from, one at a time.
 *
 * The port is one stream for as long as the machine lives, but clients come and go on the host's side of it, and each
 * expects a connection of its own. So the end of the host's side ends the connection, together with what was still to
 * be written to that client. The port itself stays open: to close it would drop what the next client has sent already.
 */
export class SerialConnections {
  readonly #name: string;
  /** The open port while no connection has it. */
  #port: number | undefined;
  #current: SerialConnection | undefined;
  #closed = false;

  private constructor(name: string, port: number) {
    this.#name = name;
    this.#port = port;
  }

  /**
   * Opens the port that the host has named.
   *
   * @throws {Error} a sentence, if there is no such port
   */
  static async open(name: string): Promise<SerialConnections> {
    return new SerialConnections(name, (await openPort(name)).release());
  }

  /** Waits for the host's side to be opened, after the end of the connection before. */
  async accept(): Promise<ByteStream> {
    await this.#current?.ended;
    if (this.#closed || this.#port === undefined) throw new Error(`port "${this.#name}" is closed`);
    const connection = new SerialConnection(this.#port, this.#name, (port) => this.#takeBack(port));
    this.#port = undefined;
    this.#current = connection;
    await connection.untilConnected();
    return connection;
  }

  close(): void {
    this.#closed = true;
    this.#current?.close();
    if (this.#port !== undefined) closeFd(this.#port);
    this.#port = undefined;
  }

  #takeBack(port: number): void {
    if (this.#closed) closeFd(port);
    else this.#port = port;
  }
}

/** One client's time on the port. Closing it gives the port back. */
class SerialConnection extends VirtioPort {
  readonly #giveBack: (port: number) => void;
  readonly #ended = Promise.withResolvers<void>();

  constructor(port: number, name: string, giveBack: (port: number) => void) {
    super(port, name);
    this.#giveBack = giveBack;
  }

  /** Resolves when the port was given back. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  override close(): void {
    const port = this.release();
    if (port < 0) return;
    this.#giveBack(port);
    this.#ended.resolve();
  }

  protected override tryRead(into: Uint8Array): number {
    const result = super.tryRead(into);
    return result === -ERRNO.EAGAIN && !this.connected ? 0 : result;
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
    await delay(APPEAR_PAUSE_MS);
  }
}
