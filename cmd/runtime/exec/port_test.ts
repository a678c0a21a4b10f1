import assert from "node:assert/strict";
import { consoleAddress } from "./port.ts";

Deno.test("the console's port is where the agent is", () => {
  assert.deepEqual(consoleAddress("vsock://3:1024", 1026), { kind: "vsock", cid: 3, port: 1026 });
  assert.deepEqual(consoleAddress("hvsock:///run/vc/vm/a:b/kata.hvsock:1024", 99), {
    kind: "hybrid",
    path: "/run/vc/vm/a:b/kata.hvsock",
    port: 99,
  });
});

Deno.test("addresses without ports are refused by what is wrong with them", () => {
  for (
    const [url, message] of [
      ["vsock://x:1024", /^Invalid vsock scheme: vsock:\/\/x:1024$/],
      ["vsock://3", /^Invalid vsock scheme/],
      ["hvsock://relative:1024", /^Invalid hybrid vsock scheme/],
      ["virtio-serial:///run/kata.sock", /^schema virtio-serial not found/],
      ["", /^schema .*not found/],
    ] as const
  ) {
    assert.throws(() => consoleAddress(url, 1026), (error: Error) => message.test(error.message), url);
  }
});
