import assert from "node:assert/strict";
import type { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import type { ServiceClient } from "../../rpc/ttrpc/typed.ts";
import { OwnedFd } from "../../sys/fd.ts";
import { newNetworkNamespace, withNamespace } from "../../sys/host.ts";
import { Rtnetlink } from "../../sys/netlink/rtnetlink.ts";
import { AsyncFd } from "../../sys/poll.ts";
import { shutdownSocket } from "../../sys/socket.ts";
import { syscall } from "../../sys/syscall.ts";
import { delay } from "../../sys/timer.ts";
import { silentLog } from "../log/log.ts";
import { PodLoopback } from "./loopback.ts";

type Ports = ServiceClient<typeof GuestPorts.methods>;

/** A guest whose every port says which it is, then what came in. */
class EchoingGuest {
  readonly closed: number[] = [];
  readonly #inputs = new Map<number, { text: string; ended: PromiseWithResolvers<void>; told: boolean }>();

  readonly ports: Ports = {
    connect: ({ port = 0 }) => {
      this.#inputs.set(port, { text: `${port}:`, ended: Promise.withResolvers(), told: false });
      return Promise.resolve({ id: port });
    },
    write: ({ id = 0, data, end }) => {
      const input = this.#inputs.get(id);
      assert(input);
      if (data) input.text += new TextDecoder().decode(data as Uint8Array);
      if (end) input.ended.resolve();
      return Promise.resolve({});
    },
    read: async ({ id = 0 }) => {
      const input = this.#inputs.get(id);
      assert(input);
      await input.ended.promise;
      if (input.told) return { data: new Uint8Array(), ended: true };
      input.told = true;
      return { data: new TextEncoder().encode(input.text), ended: false };
    },
    close: ({ id = 0 }) => {
      this.closed.push(id);
      return Promise.resolve({});
    },
  };
}

function connectInside(namespace: number, port: number): AsyncFd {
  const address = new Uint8Array([2, 0, port >> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  return withNamespace("net", namespace, () => {
    const fd = syscall("socket", [2, 1 | 0o2000000, 0]);
    syscall("connect", [fd, address, address.length], String(port));
    return new AsyncFd(fd);
  });
}

async function readAll(fd: AsyncFd): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(100);
  for (let count; (count = await fd.read(buffer)) > 0;) {
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

/** A namespace whose loopback is up, and its path. */
async function withLoopback(use: (namespace: number, path: string) => Promise<void>): Promise<void> {
  using namespace = new OwnedFd(newNetworkNamespace());
  const path = `/proc/self/fd/${namespace.fd}`;
  const netlink = new Rtnetlink(path);
  const lo = (await netlink.links()).find(({ name }) => name === "lo");
  assert(lo);
  await netlink.setLink({ index: lo.index, up: true });
  netlink.close();
  await use(namespace.fd, path);
}

function open(ports: Ports, namespace: string): PodLoopback {
  const client = { service: () => ports } as unknown as Parameters<typeof PodLoopback.open>[0]["client"];
  return PodLoopback.open({ namespace, client, log: silentLog });
}

Deno.test("connections to a pod's loopback are carried into the guest, whatever their port is", async () => {
  await withLoopback(async (namespace, path) => {
    const guest = new EchoingGuest();
    const loopback = open(guest.ports, path);
    for (const port of [80, 8080]) {
      const connection = connectInside(namespace, port);
      await connection.write(new TextEncoder().encode("hello"));
      shutdownSocket(connection.fd, "write");
      assert.equal(await readAll(connection), `${port}:hello`);
      connection.close();
    }
    assert.deepEqual(guest.closed, [80, 8080]);
    loopback[Symbol.dispose]();
    assert.throws(() => connectInside(namespace, 80), /ECONNREFUSED/);
  });
});

Deno.test("a guest that never answers keeps a number of connections, and no more", async () => {
  await withLoopback(async (namespace, path) => {
    let asked = 0;
    const connect = () => {
      asked++;
      return new Promise<never>(() => {});
    };
    const loopback = open({ ...new EchoingGuest().ports, connect }, path);
    const connections: AsyncFd[] = [];
    for (let i = 0; i < 260; i++) {
      connections.push(connectInside(namespace, 80));
      // the listener's queue is shorter
      if (i % 50 === 0) await delay(1);
    }
    const last = connections.at(-1);
    assert(last);
    assert.equal(await readAll(last).catch(() => "reset"), "");
    assert.equal(asked, 256);
    for (const connection of connections) connection.close();
    loopback[Symbol.dispose]();
  });
});
