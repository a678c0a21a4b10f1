import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import { streamPair } from "../../rpc/stream.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { implement, type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { portHandlers } from "./ports.ts";

async function withPorts(
  test: (ports: ServiceClient<typeof GuestPorts.methods>) => Promise<void>,
): Promise<void> {
  const [ours, theirs] = streamPair();
  const server = new TtrpcServer([implement(GuestPorts, portHandlers())]);
  server.serve(theirs).catch(() => {});
  using client = new TtrpcClient(ours);
  await test(serviceClient(GuestPorts, client));
  client.close();
  await server.shutdown(0);
}

async function rejects(call: Promise<unknown>, code: number, message: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert(error instanceof RpcError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("what listens on the loopback is reached, both ways and to the end of either", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await withPorts(async (ports) => {
    const { id } = await ports.connect({ port: listener.addr.port });
    using served = await listener.accept();
    await ports.write({ id, data: new TextEncoder().encode("question"), end: true });
    assert.equal(await new Response(served.readable, {}).text(), "question");
    await rejects(ports.read({ id: id + 1 }), Code.NotFound, /connection \d+ does not exist/);
    const answer = await ports.read({ id });
    assert.equal(answer.ended, true);
    await ports.close({ id });
    await ports.close({ id });
  });
});

Deno.test("a port that nobody listens on is named", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await withPorts(async (ports) => {
    const message = new RegExp(`^nobody listens on port ${port} of 127\\.0\\.0\\.1$`);
    await rejects(ports.connect({ port }), Code.FailedPrecondition, message);
    await rejects(ports.connect({ port: 0 }), Code.InvalidArgument, /^a port is a number from 1 to 65535/);
  });
});
