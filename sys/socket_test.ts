import assert from "node:assert/strict";
import { closeFd, O, openFlags, pipe, readFd } from "./fd.ts";
import { AsyncFd, loopIdle } from "./poll.ts";
import { isErrno } from "./errors.ts";
import {
  connectUnix,
  connectVsock,
  Listener,
  listenUnix,
  listenVsock,
  peerCredentials,
  shutdownSocket,
  socketError,
  socketPair,
  vsockOwn,
  vsockPeer,
} from "./socket.ts";
import { syscall } from "./syscall.ts";
import { decode, encode, tempDir } from "./test_helpers.ts";

async function readText(from: AsyncFd): Promise<string> {
  const buffer = new Uint8Array(100);
  return decode(buffer.subarray(0, await from.read(buffer)));
}

Deno.test("a unix socket is listened on, connected to, and spoken over", async () => {
  using folder = tempDir();
  const path = `${folder.path}/socket`;
  using listener = listenUnix(path, { mode: 0o640 });
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o640);
  const accepted = listener.accept();
  using client = await connectUnix(path);
  using server = await accepted;
  await client.write(encode("ping"));
  assert.equal(await readText(server), "ping");
  const answer = readText(client);
  await server.write(encode("pong"));
  assert.equal(await answer, "pong");
  for (const fd of [listener.fd, client.fd, server.fd]) {
    assert.equal(openFlags(fd) & O.NONBLOCK, O.NONBLOCK);
    assert.equal(syscall("fcntl", [fd, 1]) & 1, 1, "it is not close-on-exec");
  }
  const { pid, uid, gid } = peerCredentials(server.fd);
  assert.deepEqual([pid, uid, gid], [Deno.pid, Deno.uid(), Deno.gid()]);
  assert.equal(peerCredentials(client.fd).pid, Deno.pid);
  await loopIdle();
});

Deno.test("a hundred connections are accepted in the order they were made", async () => {
  using folder = tempDir();
  using listener = listenUnix(`${folder.path}/socket`);
  const clients = await Promise.all(Array.from({ length: 100 }, () => connectUnix(`${folder.path}/socket`)));
  await Promise.all(clients.map((client, i) => client.write(encode(String(i)))));
  for (const [i] of clients.entries()) {
    using server = await listener.accept();
    assert.equal(await readText(server), String(i));
  }
  clients.forEach((client) => client.close());
});

Deno.test("a connection waits while the listener's queue is full", async () => {
  using folder = tempDir();
  const path = `${folder.path}/socket`;
  using listener = listenUnix(path, { backlog: 0 });
  using first = await connectUnix(path);
  let connected = false;
  const second = connectUnix(path).then((socket) => {
    connected = true;
    return socket;
  });
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(connected, false);
  (await listener.accept()).close();
  (await second).close();
  assert.equal(await first.read(new Uint8Array(1)), 0);
});

Deno.test("an abstract name needs no file", async () => {
  const name = `@kata-test-${crypto.randomUUID()}`;
  using listener = listenUnix(name, { mode: 0o600 });
  using client = await connectUnix(name);
  using server = await listener.accept();
  await client.write(encode("x"));
  assert.equal(await readText(server), "x");
});

Deno.test("errors name the path: too long, taken, missing, deserted", async () => {
  using folder = tempDir();
  const long = folder.path + "/" + "x".repeat(107 - folder.path.length);
  assert.equal(long.length, 108);
  assert.throws(() => listenUnix(long), (error: Error) => {
    assert.ok(error instanceof RangeError && error.message.includes(`"${long}" has 108`), error.message);
    return true;
  });
  await assert.rejects(connectUnix(long), RangeError);
  using longest = listenUnix(long.slice(0, -1));
  assert.ok(longest.fd >= 0);
  const path = `${folder.path}/socket`;
  const listener = listenUnix(path);
  assert.throws(() => listenUnix(path), { syscall: "bind", code: "EADDRINUSE", subject: path });
  listener.close();
  listener.close();
  await assert.rejects(connectUnix(path), { message: `cannot connect "${path}": ECONNREFUSED` });
  await assert.rejects(connectUnix(path + "2"), { message: `cannot connect "${path}2": ENOENT` });
});

Deno.test("closing a listener ends the accept that is pending", async () => {
  using folder = tempDir();
  const listener = listenUnix(`${folder.path}/socket`);
  const accepted = listener.accept();
  await new Promise((resolve) => setTimeout(resolve, 2));
  listener.close();
  await assert.rejects(accepted, { code: "EBADF" });
  await assert.rejects(listener.accept(), { code: "EBADF" });
  await loopIdle();
});

Deno.test("a listener is handed on as a descriptor", async () => {
  using folder = tempDir();
  const path = `${folder.path}/socket`;
  using heir = Listener.fromFd(listenUnix(path).release());
  using client = await connectUnix(path);
  using server = await heir.accept();
  await server.write(encode("x"));
  assert.equal(await readText(client), "x");
});

Deno.test("each direction is ended by itself", async () => {
  const [a, b] = socketPair().map((fd) => new AsyncFd(fd)) as [AsyncFd, AsyncFd];
  shutdownSocket(a.fd, "write");
  assert.equal(await b.read(new Uint8Array(1)), 0);
  await b.write(encode("still"));
  assert.equal(await readText(a), "still");
  await assert.rejects(a.write(encode("x")), { code: "EPIPE" });
  let gone = false;
  const hungUp = b.hungUp().then(() => gone = true);
  await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(gone, false);
  a.close();
  await hungUp;
  b.close();
  await loopIdle();
});

Deno.test("mebibytes pass through a socket in both directions at once", async () => {
  const [a, b] = socketPair().map((fd) => new AsyncFd(fd)) as [AsyncFd, AsyncFd];
  const size = 5_000_000;
  const send = async (socket: AsyncFd, seed: number) => {
    await socket.write(new Uint8Array(size).map((_, i) => i * seed));
    shutdownSocket(socket.fd, "write");
  };
  const receive = async (socket: AsyncFd, seed: number) => {
    const received = new Uint8Array(size + 1);
    let length = 0;
    for (let count = -1; count !== 0; length += count) count = await socket.read(received.subarray(length));
    assert.equal(length, size);
    assert.ok(received.subarray(0, size).every((byte, i) => byte === (i * seed & 0xff)));
  };
  await Promise.all([send(a, 3), send(b, 5), receive(a, 5), receive(b, 3)]);
  a.close();
  b.close();
  await loopIdle();
});

Deno.test("a pair is blocking, close-on-exec, and connected", () => {
  const [a, b] = socketPair();
  assert.equal(openFlags(a) & O.NONBLOCK, 0);
  assert.equal(syscall("fcntl", [a, 1]), 1);
  assert.equal(socketError(a), 0);
  assert.equal(peerCredentials(a).pid, Deno.pid);
  closeFd(b);
  assert.equal(readFd(a, new Uint8Array(1)), 0);
  closeFd(a);
});

Deno.test("only sockets are asked for what sockets have", () => {
  const [r, w] = pipe();
  assert.throws(() => socketError(r), { syscall: "getsockopt", code: "ENOTSOCK" });
  closeFd(r);
  closeFd(w);
});

Deno.test("vsock: a port has one listener, and a connection is made or refused by name", async () => {
  const port = 0x6b617461;
  const CID_LOCAL = 1;
  const connect = async () => {
    try {
      return await connectVsock(CID_LOCAL, port);
    } catch (error) {
      // Kernels without vsock, without its loopback, or with it and nobody there.
      assert.ok(
        isErrno(error, "EAFNOSUPPORT", "ENODEV", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH"),
        String(error),
      );
      assert.ok(error.syscall === "socket" || error.subject === `vsock 1:${port}`);
    }
  };
  let listener: Listener;
  try {
    listener = listenVsock(port);
  } catch (error) {
    assert.ok(isErrno(error, "EAFNOSUPPORT"), String(error));
    assert.equal(await connect(), undefined);
    return;
  }
  assert.throws(() => listenVsock(port), { syscall: "bind", code: "EADDRINUSE" });
  assert.deepEqual(vsockOwn(listener.fd), { cid: 0xffff_ffff, port });
  assert.throws(() => vsockPeer(listener.fd), { syscall: "getpeername", code: "ENOTCONN" });
  const accepted = listener.accept();
  const client = await connect();
  if (client) {
    using server = await accepted;
    await client.write(encode("x"));
    assert.equal(await readText(server), "x");
    assert.deepEqual(vsockPeer(client.fd), { cid: CID_LOCAL, port });
    client.close();
    listener.close();
  } else {
    listener.close();
    await assert.rejects(accepted, { code: "EBADF" });
  }
  await loopIdle();
});
