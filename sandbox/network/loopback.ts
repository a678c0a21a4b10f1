/**
 * The loopback of a pod's network namespace on the host leads into the guest.
 *
 * Engines forward ports by connecting to `localhost` in the pod's namespace, where containers of a host would listen.
 * Those of a virtual machine listen in the guest: a connection to whatever port is taken here, and its data are carried
 * there and back. Each direction has one call in flight at a time, so that a slow reader slows its writer.
 *
 * @module
 */

import { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import type { ServiceClient } from "../../rpc/ttrpc/typed.ts";
import { takeLoopbackConnections } from "../../sys/bpf_lookup.ts";
import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { withNamespace } from "../../sys/host.ts";
import type { AsyncFd } from "../../sys/poll.ts";
import { type Listener, shutdownSocket } from "../../sys/socket.ts";
import { type Family, listenLoopback, localPort } from "../../sys/tcp.ts";
import { type AgentClient, CALL_TIMEOUT_MS } from "../guest/agent_client.ts";
import { type Log, reason } from "../log/log.ts";

const CHUNK_BYTES = 65_536;

/** How many connections there may be at a time. A guest that never answers keeps what it was given. */
const MAX_CONNECTIONS = 256;

const LIMIT = { timeoutMs: CALL_TIMEOUT_MS };

/** Which namespace leads to which guest. */
export interface PodLoopbackOptions {
  /** path of the network namespace */
  readonly namespace: string;
  readonly client: Pick<AgentClient, "service">;
  readonly log: Log;
}

/** Connections to the loopback of a namespace, carried into the guest. */
export class PodLoopback implements Disposable {
  readonly #guest: ServiceClient<typeof GuestPorts.methods>;
  readonly #log: Log;
  readonly #taken: DisposableStack;
  readonly #connections = new Set<AsyncFd>();

  private constructor({ client, log }: PodLoopbackOptions, taken: DisposableStack) {
    this.#guest = client.service(GuestPorts);
    this.#log = log;
    this.#taken = taken;
  }

  /** @throws {SysError} the kernel has no means to take connections to every port */
  static open(options: PodLoopbackOptions): PodLoopback {
    using taken = new DisposableStack();
    const listeners = new Map<Family, Listener>();
    withNamespace("net", options.namespace, () => {
      listeners.set("INET", taken.use(listenLoopback("INET")));
      const six = sixOrNone();
      if (six !== undefined) listeners.set("INET6", taken.use(six));
    });
    using namespace = new OwnedFd(openFd(options.namespace, O.RDONLY));
    const fds = new Map([...listeners].map(([family, { fd }]) => [family, fd]));
    taken.use(takeLoopbackConnections(namespace.fd, fds));
    namespace.close();
    const loopback = new PodLoopback(options, taken.move());
    for (const [family, listener] of listeners) loopback.#acceptAll(family, listener);
    return loopback;
  }

  [Symbol.dispose](): void {
    this.#taken.dispose();
    for (const connection of this.#connections) connection.close();
  }

  async #acceptAll(family: Family, listener: Listener): Promise<void> {
    try {
      while (true) {
        const connection = await listener.accept();
        if (this.#connections.size >= MAX_CONNECTIONS) {
          this.#log.write("debug", `${MAX_CONNECTIONS} connections to the pod's loopback are open already`);
          connection.close();
          continue;
        }
        this.#connections.add(connection);
        this.#carry(family, connection)
          .catch((error) => this.#log.write("debug", `a connection to the pod's loopback: ${reason(error)}`))
          .finally(() => {
            connection.close();
            this.#connections.delete(connection);
          });
      }
    } catch (error) {
      // the listener is closed with the sandbox
      this.#log.write("debug", `no more connections to the pod's loopback: ${reason(error)}`);
    }
  }

  async #carry(family: Family, connection: AsyncFd): Promise<void> {
    const request = { port: localPort(connection.fd), six: family === "INET6" };
    const { id } = await this.#guest.connect(request, LIMIT);
    try {
      await Promise.all([this.#carryThere(id, connection), this.#carryBack(id, connection)]);
    } finally {
      await this.#guest.close({ id }, LIMIT).catch(() => {});
    }
  }

  async #carryThere(id: number, connection: AsyncFd): Promise<void> {
    const buffer = new Uint8Array(CHUNK_BYTES);
    while (true) {
      const count = await connection.read(buffer);
      if (count === 0) break;
      await this.#guest.write({ id, data: buffer.slice(0, count) });
    }
    await this.#guest.write({ id, end: true }, LIMIT);
  }

  async #carryBack(id: number, connection: AsyncFd): Promise<void> {
    while (true) {
      const { data, ended } = await this.#guest.read({ id });
      if (ended) break;
      await connection.write(data);
    }
    shutdownSocket(connection.fd, "write");
  }
}

/** There may be no IPv6. */
function sixOrNone(): Listener | undefined {
  try {
    return listenLoopback("INET6");
  } catch {
    return undefined;
  }
}
