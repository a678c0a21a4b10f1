import { failedPrecondition, invalidArgument, notFound } from "../errors.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";

/** How many connections there may be at a time. */
const MAX_CONNECTIONS = 256;

/** Most bytes of an answer. */
const CHUNK_BYTES = 65_536;

const MAX_PORT = 65_535;

/** Connections to what containers listen with on their loopback, by number. */
export function portHandlers(): Handlers<typeof GuestPorts.methods> {
  const connections = new Map<number, Deno.TcpConn>();
  let lastId = 0;
  const find = (id: number): Deno.TcpConn => {
    const found = connections.get(id);
    if (found === undefined) throw notFound(`connection ${id} does not exist`);
    return found;
  };
  return {
    async connect({ port, six }) {
      if (port < 1 || port > MAX_PORT) {
        throw invalidArgument(`a port is a number from 1 to ${MAX_PORT}: it is ${port}`);
      }
      if (connections.size >= MAX_CONNECTIONS) {
        throw new RpcError(Code.ResourceExhausted, `${MAX_CONNECTIONS} connections are open`);
      }
      const hostname = six ? "::1" : "127.0.0.1";
      const connection = await Deno.connect({ hostname, port }).catch((error) => {
        throw failedPrecondition(`nobody listens on port ${port} of ${hostname}`, { cause: error });
      });
      connections.set(++lastId, connection);
      return { id: lastId };
    },
    async read({ id }) {
      const buffer = new Uint8Array(CHUNK_BYTES);
      // a connection that was reset has ended as well
      const count = await find(id).read(buffer).catch(() => null);
      return count === null ? { ended: true } : { data: buffer.slice(0, count) };
    },
    async write({ id, data, end }) {
      const connection = find(id);
      for (let done = 0; done < data.length;) done += await connection.write(data.subarray(done));
      if (end) await connection.closeWrite();
      return {};
    },
    close({ id }) {
      connections.get(id)?.close();
      connections.delete(id);
      return {};
    },
  };
}
