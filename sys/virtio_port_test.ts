import assert from "node:assert/strict";
import { loopTurns } from "./event_loop.ts";
import { closeFd, O, openFd, writeFd } from "./fd.ts";
import { mkfifo } from "./file.ts";
import { loopIdle } from "./poll.ts";
import { encode, tempDir } from "./test_helpers.ts";
import { findVirtioPort, openVirtioPort, VirtioPort } from "./virtio_port.ts";

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("a port is found by the name that the host gave it", () => {
  using folder = tempDir();
  for (
    const [port, name] of [["vport1p1", "org.qemu.guest_agent.0\n"], [
      "vport2p1",
      "agent.channel.0\n",
    ]] as const
  ) {
    Deno.mkdirSync(`${folder.path}/${port}`);
    Deno.writeTextFileSync(`${folder.path}/${port}/name`, name);
  }
  Deno.mkdirSync(`${folder.path}/vport3p1`); // a port without a name
  assert.equal(findVirtioPort("agent.channel.0", folder.path), "/dev/vport2p1");
  assert.throws(() => findVirtioPort("agent.channel", folder.path), {
    code: "ENOENT",
    subject: "agent.channel",
  });
});

Deno.test("without such a port there is nothing to open", () => {
  const name = "no.such.port";
  assert.throws(() => findVirtioPort(name, "/does/not/exist"), { code: "ENOENT" });
  assert.throws(() => openVirtioPort(name), { message: `cannot find virtio port "${name}": ENOENT` });
});

// A FIFO whose writers come and go stands in for a port whose host side does: reads give 0 and poll tells a hang-up
// for as long as nobody is there.
Deno.test("a host side that is closed is waited for, over and over, without turning the loop", async () => {
  using folder = tempDir();
  const path = `${folder.path}/fifo`;
  mkfifo(path, 0o600);
  const port = new VirtioPort(openFd(path, O.RDONLY | O.NONBLOCK), path);
  for (let i = 0; i < 3; i++) {
    const buffer = new Uint8Array(10);
    let count: number | undefined;
    const read = port.read(buffer).then((n) => count = n);
    await settle();
    const before = loopTurns();
    for (let j = 0; j < 5; j++) await settle();
    assert.equal(count, undefined);
    assert.equal(loopTurns(), before);
    const host = openFd(path, O.WRONLY | O.NONBLOCK);
    assert.ok(port.connected);
    await port.untilConnected();
    writeFd(host, encode("hello"));
    assert.equal(await read, 5);
    closeFd(host);
    assert.ok(!port.connected);
  }
  const read = port.read(new Uint8Array(1));
  const connected = port.untilConnected();
  const ended = Promise.all([read, connected].map((promise) => assert.rejects(promise, { code: "EBADF" })));
  await settle();
  port.close();
  await ended;
  assert.ok(!port.connected);
  await loopIdle();
});
