import assert from "node:assert/strict";
import { qemu } from "../../vm/qemu/qemu.ts";
import { withTinyVm } from "../../vm/qemu/testing/config.ts";
import { testConfig } from "../testing/fake_host.ts";
import { giveFolder, newMonitorUser } from "./monitor_user.ts";

Deno.test("a monitor has a user of its own, which nobody else has", () => {
  const [one, other] = [newMonitorUser(), newMonitorUser()];
  assert.notEqual(one.uid, other.uid);
  assert.ok(one.uid > 1_000_000_000 && one.uid < 2 ** 31);
  assert.equal(one.gid, one.uid);
  assert.equal(
    testConfig().hypervisor.rootless,
    false,
    "it is root's unless the configuration says otherwise",
  );
});

Deno.test("QEMU runs as a user of its own, without any capability, and can use its run folder", () =>
  withTinyVm(async ({ folder, config, line }) => {
    const user = newMonitorUser();
    await Deno.chmod(folder, 0o700);
    await giveFolder(config.dir, user, [folder]);
    assert.equal((await Deno.stat(folder)).mode, 0o40711);
    await using vm = await qemu.start({ ...config, user });
    await line(/tiny kernel/);
    const status = await Deno.readTextFile(`/proc/${vm.pid}/status`);
    assert.match(status, new RegExp(`^Uid:\\t${user.uid}\\t${user.uid}\\t${user.uid}\\t`, "m"));
    assert.match(status, new RegExp(`^Gid:\\t${user.gid}\\t`, "m"));
    assert.match(status, /^CapEff:\t0{16}$/m);
    assert.equal((await Deno.stat(`${config.dir}/pid`)).uid, user.uid);
    await vm.stop();
  }));
