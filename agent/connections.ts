import type { ByteStream } from "../rpc/stream.ts";
import { type Listener, listenUnix, listenVsock } from "../sys/socket.ts";
import { serveSerialPort } from "./serial_connections.ts";
import type { ServerAddress } from "./server_address.ts";

/** What happens at an address. */
export interface ConnectionEvents {
  /** Clients can connect from now on. */
  listening(): void;
  /** Serves one connection until it ends, and closes it. Never rejects. */
  serve(connection: ByteStream): Promise<void>;
}

/**
 * Serves the connections that come to an address until `signal` is aborted.
 *
 * @throws {Error} if nobody can listen there
 */
export async function serveConnections(
  address: ServerAddress,
  events: ConnectionEvents,
  signal: AbortSignal,
): Promise<void> {
  switch (address.kind) {
    case "virtio-serial":
      return await serveSerialPort(address.name, events.serve, signal, events.listening);
    case "vsock":
      return await acceptAll(listenVsock(address.port, address.cid), events, signal);
    case "unix":
      return await acceptAll(listenUnix(address.path, { mode: 0o600 }), events, signal);
  }
}

async function acceptAll(owned: Listener, events: ConnectionEvents, signal: AbortSignal): Promise<void> {
  using listener = owned;
  const stop = () => listener.close();
  signal.addEventListener("abort", stop);
  try {
    events.listening();
    while (!signal.aborted) events.serve(await listener.accept());
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
