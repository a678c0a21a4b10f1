import assert from "node:assert/strict";
import { Confinement } from "./confinement.ts";
import { ruleLine } from "../../oci/devices/rules.ts";
import { sandboxDeviceRules } from "./devices.ts";

Deno.test("version 2 of cgroups has CPUs below those that have switched them on, and takes nothing for all of them", () => {
  const root = Deno.makeTempDirSync({ prefix: "kata-test-" });
  try {
    const folder = `${root}/pod/kata_x`;
    Deno.mkdirSync(folder, { recursive: true });
    const write = (file: string, text: string) => Deno.writeTextFileSync(`${root}/${file}`, text);
    const read = (file: string) => Deno.readTextFileSync(`${root}/${file}`);
    write("cgroup.subtree_control", "cpuset memory\n");
    write("pod/cgroup.subtree_control", "memory\n");
    for (const file of ["cpuset.cpus", "cpuset.mems"]) write(`pod/kata_x/${file}`, "");
    const hierarchy = { controllers: [], root, home: root, isSupervised: false };
    using confinement = new Confinement(2, [{ hierarchy, folder }]);
    confinement.bind({ cpus: "0,2", mems: "" });
    assert.equal(read("cgroup.subtree_control"), "cpuset memory\n", "it was there");
    assert.equal(read("pod/cgroup.subtree_control"), "+cpuset");
    assert.deepEqual([read("pod/kata_x/cpuset.cpus"), read("pod/kata_x/cpuset.mems")], ["0,2", "\n"]);
    confinement.bind({ cpus: "", mems: "1" });
    assert.deepEqual([read("pod/kata_x/cpuset.cpus"), read("pod/kata_x/cpuset.mems")], ["\n", "1"]);
    Deno.removeSync(`${folder}/cpuset.cpus`);
    assert.throws(
      () => confinement.bind({ cpus: "0", mems: "" }),
      /^NotFound: cpuset.cpus does not take "0": /,
    );
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("the devices of a sandbox are those of any program, and those that run machines here", () => {
  const lines = sandboxDeviceRules().map(ruleLine);
  for (
    const line of ["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:9 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm"]
  ) {
    assert.ok(lines.includes(line), line);
  }
  assert.equal(new Set(lines).size, lines.length);
  assert.ok(
    !lines.some((line) => line === "c 1:11 rwm" || /^b \d/.test(line)),
    "no disk, no log of the kernel",
  );
  // by the names that this kernel has for them
  const [, tap] = /^ *(\d+) macvtap$/m.exec(Deno.readTextFileSync("/proc/devices")) ?? [];
  assert.equal(lines.includes(`c ${tap} rwm`.replace(" rwm", ":* rwm")), tap !== undefined);
});
