import assert from "node:assert/strict";
import { closeFd, O, openFd } from "../fd.ts";
import { loopIdle } from "../poll.ts";
import { ChildProcess } from "../process.ts";
import { run, startRaw, tempDir } from "../test_helpers.ts";
import { Rtnetlink } from "./rtnetlink.ts";
import { AF } from "./address.ts";
import { IFA_F, MAIN_TABLE, NUD, SCOPE } from "./route.ts";

/** A network namespace with nothing in it, kept by a process that sleeps. */
async function emptyNamespace() {
  using folder = tempDir();
  const ready = `${folder.path}/ready`;
  const keeper = ChildProcess.adopt(
    startRaw(["unshare", "--net", "sh", "-c", `echo > ${ready}; exec sleep 1000`]),
  );
  for (;;) {
    try {
      Deno.statSync(ready);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  const path = `/proc/${keeper.pid}/ns/net`;
  const netlink = new Rtnetlink(path);
  return {
    path,
    netlink,
    async [Symbol.asyncDispose]() {
      netlink.close();
      await keeper[Symbol.asyncDispose]();
      await loopIdle();
    },
  };
}

Deno.test("loopback comes up, with its addresses and routes", async () => {
  await using space = await emptyNamespace();
  const { netlink } = space;
  const [lo, ...others] = await netlink.links();
  assert.ok(lo);
  assert.deepEqual([lo.index, lo.name, lo.up, lo.hardware, lo.address], [
    1,
    "lo",
    false,
    772,
    "00:00:00:00:00:00",
  ]);
  assert.ok(others.every(({ up }) => !up));
  assert.deepEqual(await netlink.addresses(), []);
  await netlink.setLink({ index: lo.index, up: true });
  assert.equal((await netlink.findLink("lo"))?.up, true);
  const addresses = (await netlink.addresses()).map(({ address, prefixLength }) =>
    `${address}/${prefixLength}`
  );
  assert.ok(addresses.includes("127.0.0.1/8"));
});

Deno.test("links are made, changed, moved, and removed", async () => {
  await using space = await emptyNamespace();
  const { netlink } = space;
  await netlink.addLink({ name: "br0", kind: "bridge" });
  await netlink.addLink({ name: "d0", kind: "veth", mtu: 1400, address: "02:00:00:00:00:07" });
  const [bridge, veth] = [await netlink.findLink("br0"), await netlink.findLink("d0")];
  assert.ok(bridge && veth);
  assert.deepEqual([bridge.kind, veth.kind, veth.mtu, veth.address], [
    "bridge",
    "veth",
    1400,
    "02:00:00:00:00:07",
  ]);
  const { index } = veth;
  const peer = (await netlink.links()).find(({ index }) => index === veth.lower);
  assert.equal(peer?.lower, index);
  await netlink.setLink({ index, master: bridge.index });
  assert.equal((await netlink.findLink("d0"))?.master, bridge.index);
  await netlink.setLink({ index, master: 0 });
  await netlink.setLink({
    index,
    name: "eth7",
    mtu: 9000,
    address: "02:00:00:00:00:08",
    arp: false,
    txQueueLength: 5,
  });
  const changed = (await netlink.links()).find((link) => link.index === index);
  assert.deepEqual(
    [changed?.name, changed?.mtu, changed?.address, changed?.txQueueLength, changed?.master, changed?.up],
    ["eth7", 9000, "02:00:00:00:00:08", 5, undefined, false],
  );
  assert.equal((changed?.flags ?? 0) & 0x80, 0x80);
  await netlink.setLink({ index, up: true, arp: true });
  const up = await netlink.findLink("eth7");
  assert.deepEqual([up?.up, (up?.flags ?? 0) & 0x80], [true, 0]);
  await netlink.setLink({ index, up: false });
  assert.equal((await netlink.findLink("eth7"))?.up, false);
  await using elsewhere = await emptyNamespace();
  const target = openFd(elsewhere.path, O.RDONLY);
  await netlink.setLink({ index, name: "moved", namespaceFd: target });
  closeFd(target);
  assert.equal(await netlink.findLink("eth7"), undefined);
  const moved = await elsewhere.netlink.findLink("moved");
  assert.equal(moved?.kind, "veth");
  await elsewhere.netlink.deleteLink(moved.index);
  assert.ok(!(await netlink.links()).some((link) => link.index === peer?.index), "its peer went with it");
  await netlink.deleteLink(bridge.index);
  assert.equal(await netlink.findLink("br0"), undefined);
  await assert.rejects(netlink.deleteLink(bridge.index), { code: "ENODEV", subject: `link ${bridge.index}` });
});

Deno.test("addresses are added, replaced, listed and removed", async () => {
  await using space = await emptyNamespace();
  const { netlink } = space;
  await netlink.addLink({ name: "d0", kind: "bridge" });
  const link = (await netlink.findLink("d0"))?.index ?? 0;
  await netlink.setLink({ index: link, up: true });
  const four = { link, address: "192.0.2.5", prefixLength: 24, broadcast: "192.0.2.255" };
  const six = { link, address: "fd00::5", prefixLength: 64, flags: IFA_F.NODAD };
  const peer = { link, address: "10.1.1.1", prefixLength: 32, peer: "10.1.1.2", scope: SCOPE.link };
  for (const address of [four, six, peer]) await netlink.addAddress(address);
  const told = await netlink.addresses();
  const find = (text: string) => told.find(({ address }) => address === text);
  assert.deepEqual(find("192.0.2.5"), {
    ...four,
    family: AF.INET,
    scope: SCOPE.universe,
    flags: IFA_F.PERMANENT,
  });
  assert.deepEqual(find("10.1.1.1"), { ...peer, family: AF.INET, flags: IFA_F.PERMANENT });
  const { address, prefixLength, flags = 0 } = find("fd00::5") ?? {};
  assert.deepEqual([address, prefixLength, flags & IFA_F.NODAD], ["fd00::5", 64, IFA_F.NODAD]);
  await assert.rejects(netlink.addAddress(four), {
    syscall: "RTM_NEWADDR",
    code: "EEXIST",
    subject: `192.0.2.5/24 on link ${link}`,
  });
  await netlink.replaceAddress(four);
  await netlink.replaceAddress({ ...six, address: "fd00::6" });
  await netlink.deleteAddress(four);
  await assert.rejects(netlink.deleteAddress(four), { code: "EADDRNOTAVAIL" });
  assert.ok(!(await netlink.addresses()).some((item) => item.address === four.address));
});

Deno.test("routes of both families are added, replaced, listed and removed", async () => {
  await using space = await emptyNamespace();
  const { netlink } = space;
  await netlink.addLink({ name: "d0", kind: "bridge" });
  const link = (await netlink.findLink("d0"))?.index ?? 0;
  await netlink.setLink({ index: link, up: true });
  await netlink.addAddress({ link, address: "192.0.2.5", prefixLength: 24 });
  await netlink.addAddress({ link, address: "fd00::5", prefixLength: 64, flags: IFA_F.NODAD });
  await netlink.addRoute({ gateway: "192.0.2.1", link });
  await netlink.addRoute({
    destination: "10.0.0.0/8",
    link,
    source: "192.0.2.5",
    scope: SCOPE.link,
    mtu: 1300,
  });
  await netlink.addRoute({ destination: "::/0", gateway: "fd00::1" });
  await netlink.addRoute({ destination: "fd01::/48", link, priority: 77 });
  await netlink.addRoute({ destination: "198.51.100.0/24", gateway: "203.0.113.1", link, flags: 4 });
  await netlink.addRoute({ destination: "10.9.0.0/16", link, table: 1000 });
  const main = async () => (await netlink.routes()).filter(({ table }) => table === MAIN_TABLE);
  const told = await main();
  const find = (destination: string | undefined, family: number = AF.INET) =>
    told.find((route) => route.destination === destination && route.family === family);
  assert.deepEqual([find(undefined)?.gateway, find(undefined)?.link], ["192.0.2.1", link]);
  const { source, scope, mtu, gateway } = find("10.0.0.0/8") ?? {};
  assert.deepEqual([source, scope, mtu, gateway], ["192.0.2.5", SCOPE.link, 1300, undefined]);
  assert.equal(find(undefined, AF.INET6)?.gateway, "fd00::1");
  assert.equal(find("fd01::/48", AF.INET6)?.priority, 77);
  assert.equal((find("198.51.100.0/24")?.flags ?? 0) & 4, 4);
  assert.ok(!find("10.9.0.0/16"));
  assert.ok(
    (await netlink.routes()).some(({ table, destination }) =>
      table === 1000 && destination === "10.9.0.0/16"
    ),
  );
  await netlink.replaceRoute({ gateway: "192.0.2.2", link });
  assert.deepEqual(
    (await main()).filter(({ destination, family }) => !destination && family === AF.INET).map((r) =>
      r.gateway
    ),
    ["192.0.2.2"],
  );
  await assert.rejects(netlink.addRoute({ gateway: "192.0.2.3", link }), {
    message: `cannot RTM_NEWROUTE "default via 192.0.2.3 on link ${link}": EEXIST`,
  });
  await assert.rejects(netlink.addRoute({ destination: "10.7.0.0/16", gateway: "203.0.113.9" }), {
    code: "ENETUNREACH",
    message: /"10\.7\.0\.0\/16 via 203\.0\.113\.9": ENETUNREACH \(.+\)$/, // with the kernel's explanation
  });
  await netlink.deleteRoute({ destination: "10.0.0.0/8", link });
  await assert.rejects(netlink.deleteRoute({ destination: "10.0.0.0/8", link }), { code: "ESRCH" });
});

Deno.test("neighbours are added, replaced and listed", async () => {
  await using space = await emptyNamespace();
  const { netlink } = space;
  await netlink.addLink({ name: "d0", kind: "bridge" });
  const link = (await netlink.findLink("d0"))?.index ?? 0;
  await netlink.setLink({ index: link, up: true });
  await netlink.setLink({ index: link, arp: true });
  await netlink.replaceNeighbour({ link, address: "192.0.2.9", hardwareAddress: "02:00:00:00:00:09" });
  await netlink.replaceNeighbour({ link, address: "fd00::9", hardwareAddress: "02:00:00:00:00:0a" });
  const find = async (address: string) =>
    (await netlink.neighbours()).find((item) => item.address === address);
  assert.deepEqual(await find("192.0.2.9"), {
    link,
    family: AF.INET,
    address: "192.0.2.9",
    hardwareAddress: "02:00:00:00:00:09",
    state: NUD.PERMANENT,
    flags: 0,
  });
  assert.equal((await find("fd00::9"))?.hardwareAddress, "02:00:00:00:00:0a");
  await netlink.replaceNeighbour({
    link,
    address: "192.0.2.9",
    hardwareAddress: "02:00:00:00:00:0b",
    state: NUD.NOARP,
  });
  const { hardwareAddress, state } = await find("192.0.2.9") ?? {};
  assert.deepEqual([hardwareAddress, state], ["02:00:00:00:00:0b", NUD.NOARP]);
});

Deno.test("many requests at once are answered each with its own", async () => {
  await using space = await emptyNamespace();
  const { netlink } = space;
  const count = 60;
  await Promise.all(
    Array.from(
      { length: count },
      (_, i) => netlink.addLink({ name: `d${i}`, kind: "bridge", mtu: 1000 + i }),
    ),
  );
  const found = await Promise.all(
    Array.from({ length: count + 1 }, (_, i) => netlink.findLink(`d${i}`).then((link) => link?.mtu)),
  );
  assert.deepEqual(found, [...Array.from({ length: count }, (_, i) => 1000 + i), undefined]);
  // A list longer than one datagram.
  assert.equal((await netlink.links()).filter(({ kind }) => kind === "bridge").length, count);
});

Deno.test("it speaks of the namespace it was opened in, and of one's own by default", async () => {
  await using space = await emptyNamespace();
  await space.netlink.addLink({ name: "only-there", kind: "bridge" });
  using here = new Rtnetlink();
  assert.equal(await here.findLink("only-there"), undefined);
  const told = (await run("ls", ["/sys/class/net"])).trim().split("\n").sort();
  assert.deepEqual((await here.links()).map(({ name }) => name).sort(), told);
});

Deno.test("names and addresses that are none never reach the kernel", async () => {
  using netlink = new Rtnetlink();
  await assert.rejects(netlink.findLink("a-name-that-is-too-long"), /must have 1 to 15 bytes/);
  await assert.rejects(netlink.addLink({ name: "", kind: "bridge" }), RangeError);
  await assert.rejects(netlink.addAddress({ link: 1, address: "x", prefixLength: 8 }), RangeError);
  await assert.rejects(netlink.addRoute({ destination: "10.0.0.0/99" }), RangeError);
  await assert.rejects(
    netlink.replaceNeighbour({ link: 1, address: "10.0.0.1", hardwareAddress: "x" }),
    RangeError,
  );
});

Deno.test("closing ends what is pending", async () => {
  const netlink = new Rtnetlink();
  const links = netlink.links();
  netlink.close();
  await assert.rejects(links, { code: "EBADF" });
  await assert.rejects(netlink.links(), { code: "EBADF" });
  assert.throws(() => new Rtnetlink("/does/not/exist"), { code: "ENOENT" });
});
