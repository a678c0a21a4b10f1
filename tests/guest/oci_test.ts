/** In a real guest: what containers find when they look at themselves, hooks, and labels. One guest for all of it. */

import assert from "node:assert/strict";
import { Harness } from "../../agent/container/testing/harness.ts";
import { addPerl, parseReport, probeArgs } from "../../agent/container/testing/reporter.ts";
import { checkReport, withCapabilities } from "../../agent/container/testing/report/case.ts";
import { REPORT_CASES } from "../../agent/container/testing/report/cases.ts";
import { Guest, SHARE_POINT } from "./harness.ts";

const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";
const HOOK = (log: string) =>
  `#!${SHARE_POINT}/rootfs/bin/busybox sh\nread -r state\necho "$1 $state" >> ${log}\n`;

/** In a pod, host names and shared memory are the pod's, and there is nobody to compare the rest with. */
const NAMESPACES = /^ns /;

Deno.test("containers in a guest are what their specifications say", async (t) => {
  await using machine = new Harness();
  await addPerl(machine.rootfs);
  const hookLog = `${SHARE_POINT}/hook.log`;
  for (const kind of ["prestart", "poststart", "poststop"]) {
    Deno.mkdirSync(`${machine.folder}/hooks/${kind}`, { recursive: true });
    Deno.writeTextFileSync(`${machine.folder}/hooks/${kind}/log`, HOOK(hookLog));
    Deno.chmodSync(`${machine.folder}/hooks/${kind}/log`, 0o755);
  }
  await using guest = await Guest.boot({ share: machine.folder, agentParams: [SERIAL] });
  await guest.createSandbox(`${SHARE_POINT}/hooks`);
  let count = 0;
  const output = async (args: readonly string[], change: Parameters<Guest["run"]>[2]) => {
    const containerId = `report-${++count}`;
    await guest.run(containerId, args, change);
    const text = await guest.readAll(containerId);
    const { status } = await guest.agent.waitProcess({ containerId });
    await guest.agent.removeContainer({ containerId });
    assert.equal(status, 0, text);
    return text;
  };

  for (const one of REPORT_CASES) {
    await t.step(one.name, async () => {
      const text = await output(probeArgs(...one.asks ?? []), (spec) => {
        spec.process = withCapabilities(spec).process;
        spec.linux = { ...spec.linux, namespaces: [{ type: "mount" }, { type: "uts" }, { type: "network" }] };
        one.change(spec);
      });
      checkReport(parseReport(text), one, NAMESPACES);
    });
  }

  await t.step("the guest's hooks ran for each of them", () => {
    const lines = Deno.readTextFileSync(`${machine.folder}/hook.log`).trim().split("\n");
    const told = lines.map((line) => {
      const { id, status } = JSON.parse(line.slice(line.indexOf(" ")));
      return `${line.split(" ")[0]} ${id} ${status}`;
    });
    const kinds = ["prestart creating", "poststart running", "poststop stopped"];
    const wanted = REPORT_CASES.flatMap((_, index) =>
      kinds.map((kind) => kind.replace(" ", ` report-${index + 1} `))
    );
    assert.deepEqual(told, wanted);
  });

  await t.step("a profile of AppArmor is what the program runs under, or there is no container", async () => {
    const current = await output(["cat", "/proc/self/attr/apparmor/current"], (spec) => {
      spec.process.apparmorProfile = "unconfined";
    });
    assert.match(current, /^unconfined/);
    const missing = guest.run(
      "no-profile",
      ["true"],
      (spec) => void (spec.process.apparmorProfile = "nobody-has-it"),
    );
    await assert.rejects(missing, /set AppArmor profile "nobody-has-it": ENOENT/);
    const label = guest.run("no-label", ["true"], (spec) => void (spec.process.selinuxLabel = "u:r:t:s0"));
    await assert.rejects(label, /process\.selinuxLabel needs a guest kernel with SELinux/);
  });
});
