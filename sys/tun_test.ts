import assert from "node:assert/strict";
import { linkDriver } from "./ethtool.ts";
import { NetworkChanges, RTMGRP } from "./netlink/changes.ts";
import { Rtnetlink } from "./netlink/rtnetlink.ts";
import { loopIdle } from "./poll.ts";
import { TestNamespace } from "./test_helpers.ts";
import { interfaceOf, openMacvtap, openTap } from "./tun.ts";
import { CLONE, namespaceKind } from "./host.ts";

async function names(space: TestNamespace): Promise<unknown[]> {
  return (await space.json("ip link")).map(({ ifname }) => ifname);
}

Deno.test("a tap is there in its namespace while a descriptor of it is open, and no longer", async () => {
  using space = new TestNamespace();
  assert.equal(namespaceKind(space.fd), CLONE.NEWNET);
  const [queue, ...more] = openTap({ name: "tap0_kata", queues: 1, namespace: space.fd, exclusive: true });
  assert.equal(more.length, 0);
  const [tap] = (await space.json("ip -d link show tap0_kata")).map(({ linkinfo }) => linkinfo) as {
    info_kind: string;
    info_data: Record<string, unknown>;
  }[];
  assert.equal(tap?.info_kind, "tun");
  const { type, pi, vnet_hdr, multi_queue, persist } = tap?.info_data ?? {};
  assert.deepEqual({ type, pi, vnet_hdr, multi_queue, persist }, {
    type: "tap",
    pi: false,
    vnet_hdr: true,
    multi_queue: false,
    persist: false,
  });
  assert.equal(interfaceOf(queue?.fd ?? -1), "tap0_kata");
  assert.equal(linkDriver("tap0_kata", space.fd)?.driver, "tun");
  const again = () => openTap({ name: "tap0_kata", queues: 1, namespace: space.fd, exclusive: true });
  assert.throws(again, { code: "EBUSY", subject: "TUNSETIFF tap0_kata" });
  queue?.close();
  assert.deepEqual(await names(space), ["lo"]);
});

Deno.test("a tap of several queues has a descriptor for each, and nothing stays open when one fails", async () => {
  using space = new TestNamespace();
  const queues = openTap({ name: "t", queues: 3, namespace: space.path, exclusive: true });
  assert.equal(queues.length, 3);
  const [tap] = (await space.json("ip -d link show t")).map(({ linkinfo }) => linkinfo) as {
    info_data: Record<string, unknown>;
  }[];
  assert.deepEqual([tap?.info_data.multi_queue, tap?.info_data.numqueues], [true, 3]);
  for (const queue of queues) queue.close();
  const { length } = [...Deno.readDirSync("/proc/self/fd")];
  assert.throws(() => openTap({ name: "lo", queues: 1, namespace: space.fd, exclusive: false }), {
    code: "EINVAL",
  });
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, length);
});

Deno.test("a tap that somebody made to stay can be opened, by one at a time", async () => {
  using space = new TestNamespace();
  await space.ip("tuntap add t mode tap vnet_hdr");
  const open = () => openTap({ name: "t", queues: 1, namespace: space.fd, exclusive: false });
  const [queue] = open();
  assert.throws(open, { code: "EBUSY" });
  queue?.close();
  assert.deepEqual(await names(space), ["lo", "t"]);
});

Deno.test("a macvtap's node is opened if it is that of the link", async () => {
  using space = new TestNamespace();
  await space.ip("link add v0 type veth peer name v1");
  using netlink = new Rtnetlink(space.fd);
  const lower = (await netlink.findLink("v0"))?.index;
  const index = 8192 + Math.floor(Math.random() * 65_536);
  await netlink.addLink({ name: "mt", kind: "macvtap", index, lower, queues: 2 });
  assert.equal((await netlink.findLink("mt"))?.index, index);
  const queues = openMacvtap("mt", index, 2);
  assert.deepEqual(queues.map(({ fd }) => interfaceOf(fd)), ["mt", "mt"]);
  for (const queue of queues) queue.close();
  assert.throws(() => openMacvtap("other", index, 1), { code: "ENODEV", subject: `/dev/tap${index}` });
  assert.throws(() => openMacvtap("mt", 1, 1), { code: "ENOENT", subject: "/dev/tap1" });
  netlink.close();
  await loopIdle();
});

Deno.test("a change in the namespace is reported, one in another namespace is not", async () => {
  using space = new TestNamespace();
  using other = new TestNamespace();
  {
    using changes = new NetworkChanges(RTMGRP.LINK | RTMGRP.IPV4_IFADDR, space.fd);
    let told = 0;
    const first = changes.next().then(() => told++);
    await other.ip("link set lo up");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(told, 0);
    await space.ip("link set lo up");
    await first;
    assert.equal(told, 1);
    // more of them than its buffer holds
    for (let i = 0; i < 3; i++) await space.ip("link set lo down", "link set lo up");
    await changes.next();
    changes.close();
    await assert.rejects(async () => {
      for (;;) await changes.next();
    }, { code: "EBADF" });
  }
  await loopIdle();
});
