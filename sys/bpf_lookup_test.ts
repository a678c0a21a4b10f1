import assert from "node:assert/strict";
import { takeLoopbackConnections } from "./bpf_lookup.ts";
import { OwnedFd } from "./fd.ts";
import { newNetworkNamespace, withNamespace } from "./host.ts";
import { Rtnetlink } from "./netlink/rtnetlink.ts";
import { syscall } from "./syscall.ts";
import { FAMILY, type Family, listenLoopback, localPort } from "./tcp.ts";

/** A connection attempt from inside of a namespace, and its error. */
function connectInside(namespace: number, family: Family, address: readonly number[], port: number): OwnedFd {
  const bytes = new Uint8Array(family === "INET" ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, FAMILY[family], true);
  view.setUint16(2, port);
  bytes.set(address, family === "INET" ? 4 : 8);
  return withNamespace("net", namespace, () => {
    const fd = new OwnedFd(syscall("socket", [FAMILY[family], 1 | 0o2000000, 0]));
    try {
      syscall("connect", [fd.fd, bytes, bytes.length], "connect");
    } catch (error) {
      fd.close();
      throw error;
    }
    return fd;
  });
}

const LOOPBACK = { INET: [127, 0, 0, 1], INET6: [...new Array(15).fill(0), 1] };

Deno.test("connections to any port of the loopback addresses go to one listener", async () => {
  using namespace = new OwnedFd(newNetworkNamespace());
  const path = `/proc/self/fd/${namespace.fd}`;
  const netlink = new Rtnetlink(path);
  const lo = (await netlink.links()).find(({ name }) => name === "lo");
  assert(lo);
  await netlink.setLink({ index: lo.index, up: true });
  netlink.close();
  assert.throws(() => connectInside(namespace.fd, "INET", LOOPBACK.INET, 80), /ECONNREFUSED/);
  using four = withNamespace("net", namespace.fd, () => listenLoopback("INET"));
  using six = withNamespace("net", namespace.fd, () => listenLoopback("INET6"));
  const link = takeLoopbackConnections(namespace.fd, new Map([["INET", four.fd], ["INET6", six.fd]]));
  for (const [family, listener] of [["INET", four], ["INET6", six]] as const) {
    for (const port of [1, 80, 65_535]) {
      using _client = connectInside(namespace.fd, family, LOOPBACK[family], port);
      using accepted = await listener.accept();
      assert.equal(localPort(accepted.fd), port);
      _client.close();
    }
  }
  // other addresses of the same link are not meant
  assert.throws(() => connectInside(namespace.fd, "INET", [127, 0, 0, 2], 80), /ECONNREFUSED/);
  link.close();
  assert.throws(() => connectInside(namespace.fd, "INET", LOOPBACK.INET, 80), /ECONNREFUSED/);
});
