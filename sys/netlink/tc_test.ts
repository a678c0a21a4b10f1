import assert from "node:assert/strict";
import { loopIdle } from "../poll.ts";
import { TestNamespace } from "../test_helpers.ts";
import { Rtnetlink } from "./rtnetlink.ts";
import { TC_H, TrafficControl } from "./tc.ts";

async function twoLinks(space: TestNamespace): Promise<[first: number, second: number]> {
  await space.ip("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up");
  using netlink = new Rtnetlink(space.fd);
  const indexOf = async (name: string) => (await netlink.findLink(name))?.index ?? 0;
  return [await indexOf("v0"), await indexOf("v1")];
}

Deno.test("incoming packets of a link are sent out of another, as tc tells it", async () => {
  using space = new TestNamespace();
  const [a, b] = await twoLinks(space);
  {
    using control = new TrafficControl(space.fd);
    await control.addIngress(a);
    await control.redirect(a, b);
    const [filter] = await space.json("tc filter show dev v0 ingress");
    assert.deepEqual([filter?.protocol, filter?.pref, filter?.kind], ["all", 1, "u32"]);
    const text = await space.run("tc", "filter", "show", "dev", "v0", "ingress");
    assert.match(text, /match 00000000\/00000000 at 0/);
    assert.match(text, /mirred \(Egress Redirect to device v1\) stolen/);
    const own = (await control.qdiscs()).filter(({ link, kind }) => link === a && kind === "ingress");
    assert.deepEqual(own, [{ link: a, kind: "ingress", handle: TC_H.INGRESS_HANDLE, parent: TC_H.INGRESS }]);
    assert.ok((await control.ingressFilters(a)).every(({ link, kind }) => link === a && kind === "u32"));
    assert.deepEqual(await control.ingressFilters(b).catch(() => []), []);
    await assert.rejects(control.addIngress(a), { code: "EEXIST", subject: `link ${a}` });
    await control.removeIngress(a);
    await control.removeIngress(a);
    assert.ok(!(await control.qdiscs()).some(({ kind }) => kind === "ingress"));
    await control.removeIngress(9999);
    await assert.rejects(control.redirect(9999, b), { code: "ENODEV" });
  }
  await loopIdle();
});

Deno.test("limits hold what tc tells of them, beyond 32 bits too", async () => {
  using space = new TestNamespace();
  const [a] = await twoLinks(space);
  {
    using control = new TrafficControl(space.fd);
    const limits = { 800: "800bit", 10_000_000: "10Mbit", 25e9: "25Gbit", 100e9: "100Gbit" };
    for (const [bits, told] of Object.entries(limits)) {
      await control.limit(a, Number(bits));
      const classes = await space.run("tc", "class", "show", "dev", "v0");
      const rates = [...classes.matchAll(/class htb (1:\d) .*?rate (\w+) ceil (\w+) /g)].map((found) =>
        found.slice(1)
      );
      assert.deepEqual(rates.sort(), [["1:1", told, told], ["1:2", told, told]], classes);
      const [root] = await space.json("tc qdisc show dev v0");
      assert.deepEqual([root?.kind, root?.handle, root?.root], ["htb", "1:", true]);
      assert.equal((root?.options as { default?: string }).default, "0x2");
      await control.removeLimit(a);
      await control.removeLimit(a);
      assert.ok(!(await control.qdiscs()).some(({ kind }) => kind === "htb"));
    }
  }
  await loopIdle();
});
