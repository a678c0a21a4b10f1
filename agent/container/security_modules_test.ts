import assert from "node:assert/strict";
import { explain } from "./explain.ts";
import type { Process, Spec } from "../../oci/spec.ts";
import { refuseLabels, refuseProcessLabels, securityModules } from "./security_modules.ts";
import { Harness, processOf, specOf } from "./testing/harness.ts";

const NONE = () => ({ apparmor: false, selinux: false });
const ALL = () => ({ apparmor: true, selinux: true });

function spec(process: Partial<Process>, mountLabel?: string): Spec {
  const made = specOf("/rootfs", ["true"]);
  return {
    ...made,
    process: { ...made.process, ...process },
    linux: { ...made.linux, ...(mountLabel && { mountLabel }) },
  };
}

Deno.test("a label of a security module that the kernel does not have is refused by name", () => {
  const cases: [Spec, string][] = [
    [
      spec({ apparmorProfile: "p" }),
      'process.apparmorProfile needs a guest kernel with AppArmor, and this one has none: it is "p"',
    ],
    [
      spec({ selinuxLabel: "a:b:c" }),
      'process.selinuxLabel needs a guest kernel with SELinux, and this one has none: it is "a:b:c"',
    ],
    [
      spec({}, "a:b:c"),
      'linux.mountLabel needs a guest kernel with SELinux, and this one has none: it is "a:b:c"',
    ],
  ];
  for (const [made, message] of cases) {
    assert.throws(() => refuseLabels(made, NONE), { name: "SpecError", message });
    refuseLabels(made, ALL);
  }
  refuseLabels(spec({ apparmorProfile: "", selinuxLabel: "" }), NONE);
  assert.throws(() => refuseProcessLabels({ ...processOf(["a"]), apparmorProfile: "p" }, NONE), /AppArmor/);
});

Deno.test("labels are set before anything else can go wrong with /proc, and mounts are made with theirs", async () => {
  const made = spec({ apparmorProfile: "strict", selinuxLabel: "u:r:container_t:s0" }, "u:r:file_t:s0:c1,c2");
  made.mounts?.push({ destination: "/b", type: "bind", source: "/src", options: ["bind"] });
  const explained = await explain({ id: "c", bundle: "/b", spec: made, look: false });
  const lines = explained.plan.program.describe();
  const at = (text: string) => lines.findIndex((line) => line.includes(text));
  assert.ok(at('write($target, "exec strict", 11)') > 0);
  assert.ok(at('write($target, "u:r:container_t:s0", 18)') > 0);
  assert.ok(at("u:r:container_t:s0") < at("change root"));
  const labelled = lines.filter((line) => line.includes("file_t"));
  assert.equal(labelled.length, 1);
  assert.match(
    labelled[0] ?? "",
    /mount tmpfs on \/dev: mount\(.*"mode=755,context=\\"u:r:file_t:s0:c1,c2\\""\)/,
  );
});

Deno.test("a container with a profile either has it or is not made", async () => {
  await using harness = new Harness();
  const withProfile = (profile: string) => {
    const made = specOf(harness.rootfs, ["cat", "/proc/self/attr/apparmor/current"]);
    made.process.apparmorProfile = profile;
    return harness.run(made);
  };
  if (!securityModules().apparmor) {
    await assert.rejects(
      withProfile("unconfined"),
      /process\.apparmorProfile needs a guest kernel with AppArmor/,
    );
  } else {
    assert.match((await withProfile("unconfined")).stdout, /^unconfined/);
    await assert.rejects(withProfile("no-such-profile"), /set AppArmor profile "no-such-profile": ENOENT/);
  }
});
