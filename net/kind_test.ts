import assert from "node:assert/strict";
import { Code } from "../rpc/errors.ts";
import { IFF } from "../sys/netlink/link.ts";
import { kindOf, modelFor } from "./kind.ts";
import type { PodLink } from "./scan.ts";
import { testLink } from "./testing/links.ts";

const none = () => false;
const kind = (pod: PodLink, driver?: { driver: string; bus: string }) =>
  kindOf(pod, driver, "the namespace", none);

Deno.test("links with Ethernet frames are joined, and taps are opened unless somebody has them open", () => {
  for (const name of ["veth", "macvlan", "ipvlan", "vlan"]) {
    assert.deepEqual(kind(testLink({ kind: name }), { driver: name, bus: "" }), { kind: "ethernet" });
  }
  assert.deepEqual(kind(testLink({ kind: "macvtap" })), { kind: "macvtap" });
  assert.deepEqual(kind(testLink({ kind: "tun" })), { kind: "tap" });
  assert.deepEqual(kind(testLink({ kind: "tun", flags: IFF.UP | IFF.LOWER_UP })), { kind: "ethernet" });
});

Deno.test("a link with a PCI device is that device, whatever else it is", () => {
  const driver = { driver: "ixgbe", bus: "0000:05:00.0" };
  const physical = { kind: "physical", address: "0000:05:00.0", driver: "ixgbe" };
  assert.deepEqual(kind(testLink({ kind: undefined }), driver), physical);
  assert.deepEqual(kind(testLink({ kind: "veth" }), driver), physical);
});

Deno.test("a program that serves a link's packets over a socket is found by the link's address", () => {
  const pod = testLink({ kind: "dummy" }, { addresses: ["fd00::2", "10.0.0.2"] });
  const socketPath = "/tmp/vhostuser_10.0.0.2/vhu.sock";
  assert.deepEqual(kindOf(pod, undefined, "", (path) => path === socketPath), {
    kind: "vhost-user",
    socketPath,
  });
});

Deno.test("what cannot be joined is refused by name", () => {
  const cases: [PodLink, { driver: string; bus: string } | undefined, string][] = [
    [
      testLink({ name: "eth1", kind: "tun", hardware: 65_534 }),
      undefined,
      "it is a tun device, which has no Ethernet frames",
    ],
    [testLink({ name: "eth1", kind: "ipvlan", hardware: 65_534 }), undefined, "it has no Ethernet frames"],
    [
      testLink({ name: "eth1", kind: "wireguard" }),
      undefined,
      'it is of kind "wireguard", and must be one of veth, macvlan, ipvlan, vlan, tap, macvtap',
    ],
    [
      testLink({ name: "eth1", kind: undefined }),
      { driver: "virtio_net", bus: "virtio0" },
      "it is a device without a kind, and must be one of veth, macvlan, ipvlan, vlan, tap, macvtap",
    ],
  ];
  for (const [pod, driver, why] of cases) {
    assert.throws(() => kind(pod, driver), {
      code: Code.InvalidArgument,
      message: `link "eth1" of the namespace cannot be joined to a virtual machine: ${why}`,
    });
  }
});

Deno.test("macvtap is for links that it does not bypass", () => {
  const chosen = ["veth", "vlan", "macvlan", "ipvlan", undefined].map((name) => modelFor("macvtap", name));
  assert.deepEqual(chosen, ["macvtap", "macvtap", "tcfilter", "tcfilter", "tcfilter"]);
  assert.equal(modelFor("tcfilter", "veth"), "tcfilter");
});
