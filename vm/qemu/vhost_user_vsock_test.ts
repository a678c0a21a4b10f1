import assert from "node:assert/strict";
import { connectHybrid } from "../hybrid_vsock.ts";
import { openAgentChannel } from "./agent_channel.ts";
import { type TinyVm, withTinyVm } from "./testing/config.ts";
import { VhostUserVsock } from "./vhost_user_vsock.ts";

/** Writes a program that takes the arguments of vhost-device-vsock and runs `body` on its sockets. */
function fakeDevice({ folder }: TinyVm, body: string): string {
  const script = `
    const valueOf = (name) => Deno.args.find((arg) => arg.startsWith("--" + name + "=")).split("=")[1];
    const cid = valueOf("guest-cid");
    console.log("device for guest " + cid);
    ${body}
  `;
  Deno.writeTextFileSync(`${folder}/device.js`, script);
  const path = `${folder}/vhost-device-vsock`;
  const command = `#!/bin/sh\nexec ${Deno.execPath()} run -A --no-config ${folder}/device.js "$@"\n`;
  Deno.writeTextFileSync(path, command, { mode: 0o755 });
  return path;
}

/** Listens on both sockets, in the real program's order, and answers the handshake on the first. */
const WORKING = `
  const host = Deno.listen({ transport: "unix", path: valueOf("uds-path") });
  const device = Deno.listen({ transport: "unix", path: valueOf("socket") });
  for await (const connection of host) {
    await connection.read(new Uint8Array(100));
    await connection.write(new TextEncoder().encode("OK 5\\n"));
  }
`;

Deno.test("the vsock device is ready when it is started, and leaves nothing when it is stopped", () =>
  withTinyVm(async (tiny) => {
    const device = await VhostUserVsock.start(
      fakeDevice(tiny, WORKING),
      tiny.config.dir,
      (line) => tiny.log.push(line),
    );
    (await connectHybrid(device.hybridSocket, 1024)).close();
    await device[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
    assert.equal(await device.failed, "the vsock device was stopped");
    assert.deepEqual(tiny.log, ["vhost-device-vsock: device for guest 3"]);
  }));

Deno.test("a vsock device that ends is reported with its last words, before or after it listened", () =>
  withTinyVm(async (tiny) => {
    const start = (body: string) => VhostUserVsock.start(fakeDevice(tiny, body), tiny.config.dir, () => {});
    await assert.rejects(
      start(`console.log("no memory"); Deno.exit(4);`),
      /^Error: the vsock device's program exited with 4: no memory$/,
    );
    await using device = await start(
      WORKING.replace("await connection.read", "Deno.exit(5); await connection.read"),
    );
    await assert.rejects(connectHybrid(device.hybridSocket, 1024), /nobody listens on port 1024/);
    assert.match(await device.failed, /^the vsock device's program exited with 5: device for guest 3$/);
  }));

Deno.test("by default the agent is reached by the first transport that works", () =>
  withTinyVm(async (tiny) => {
    const config = { ...tiny.config, agentTransport: undefined };
    const kindWith = async (vhostUserVsockPath: string) => {
      await using channel = await openAgentChannel({ ...config, vhostUserVsockPath });
      return channel.device.kind;
    };
    const inKernel = await Deno.stat("/dev/vhost-vsock").then(() => true, () => false);
    assert.equal(await kindWith(fakeDevice(tiny, WORKING)), inKernel ? "vsock" : "vhost-user-vsock");
    assert.equal(await kindWith("/nonexistent/device"), inKernel ? "vsock" : "virtio-serial");
    assert.equal(
      tiny.log.some((line) => line.startsWith("the agent is reached by virtio-serial")),
      !inKernel,
    );
  }));
