import type { ByteStream } from "../rpc/stream.ts";
import { type Listener, listenUnix, listenVsock } from "../sys/socket.ts";
import { SerialConnections } from "./serial_connections.ts";
import type { ServerAddress } from "./server_address.ts";

/** A source of connections. */
export interface Connections {
  /** Waits for the next connection. @throws {Error} if there will be none: it was closed, or it failed */
  accept(): Promise<ByteStream>;
  /** Accepts no more connections; accepted ones belong to their owners. */
  close(): void;
}

/**
 * Begins to listen at an address.
 *
 * @throws {Error} if nobody can listen there
 */
export async function listen(address: ServerAddress): Promise<Connections> {
  switch (address.kind) {
    case "virtio-serial":
      return await SerialConnections.open(address.name);
    case "vsock":
      return listenVsock(address.port, address.cid) satisfies Listener;
    case "unix":
      return listenUnix(address.path, { mode: 0o600 }) satisfies Listener;
  }
}
