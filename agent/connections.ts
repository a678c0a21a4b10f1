import type { ByteStream } from "../rpc/stream.ts";
import type { AsyncFd } from "../sys/poll.ts";
import { type Listener, listenUnix, listenVsock, type VsockAddress, vsockPeer } from "../sys/socket.ts";
import { SerialConnections } from "./serial_connections.ts";
import type { ServerAddress } from "./server_address.ts";

/** A source of connections. */
export interface Connections {
  /** Waits for the next connection. @throws {Error} if there will be none: it was closed, or it failed */
  accept(): Promise<ByteStream>;
  /** Accepts no more connections; accepted ones belong to their owners. */
  close(): void;
}

/** The host's context id. */
const HOST_CID = 2;

/**
 * Connections of the host, and of nobody else. A container of this guest can connect to its ports, too, where the
 * guest's kernel loops vsock back, and some devices connect machines with each other.
 */
export class HostConnections implements Connections {
  readonly #listener: Pick<Listener, "accept" | "close">;
  readonly #peerOf: (connection: AsyncFd) => VsockAddress;
  readonly #onRefused: (peer: string) => void;

  /**
   * @param onRefused is told of everybody else
   * @param peerOf default: what the kernel says
   */
  constructor(
    listener: Pick<Listener, "accept" | "close">,
    onRefused: (peer: string) => void,
    peerOf: (connection: AsyncFd) => VsockAddress = ({ fd }) => vsockPeer(fd),
  ) {
    this.#listener = listener;
    this.#onRefused = onRefused;
    this.#peerOf = peerOf;
  }

  async accept(): Promise<AsyncFd> {
    for (;;) {
      const connection = await this.#listener.accept();
      const stranger = this.#strangerAt(connection);
      if (stranger === undefined) return connection;
      connection.close();
      this.#onRefused(stranger);
    }
  }

  #strangerAt(connection: AsyncFd): string | undefined {
    try {
      const { cid, port } = this.#peerOf(connection);
      return cid === HOST_CID ? undefined : `vsock ${cid}:${port}`;
    } catch (error) {
      // it has gone already
      return String(error);
    }
  }

  close(): void {
    this.#listener.close();
  }
}

/**
 * Begins to listen at an address.
 *
 * @param onRefused is told of those that may not connect
 * @throws {Error} if nobody can listen there
 */
export async function listen(
  address: ServerAddress,
  onRefused: (peer: string) => void = () => {},
): Promise<Connections> {
  switch (address.kind) {
    case "virtio-serial":
      return await SerialConnections.open(address.name);
    case "vsock":
      return new HostConnections(listenVsock(address.port, address.cid), onRefused);
    case "unix":
      return listenUnix(address.path, { mode: 0o600 }) satisfies Listener;
  }
}
