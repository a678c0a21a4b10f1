import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { sandboxPolicy } from "../policy.ts";
import { testConfig, testSpec } from "../testing/fake_host.ts";
import { guestSpec } from "./spec.ts";

const options = { rootPath: "/guest/rootfs", mounts: [], terminal: false, disableSeccomp: true };

function full(): Spec {
  return testSpec({
    hooks: { prestart: [{ path: "/bin/hook" }] },
    process: { ...testSpec().process, terminal: true, selinuxLabel: "l", apparmorProfile: "p" },
    linux: {
      mountLabel: "m",
      cgroupsPath: "/a/b",
      seccomp: { defaultAction: "SCMP_ACT_ALLOW" },
      namespaces: [
        { type: "pid" },
        { type: "network", path: "/run/netns/x" },
        { type: "ipc", path: "/proc/7/ns/ipc" },
        { type: "uts" },
        { type: "mount" },
        { type: "cgroup" },
      ],
      resources: {
        devices: [{ allow: false }, { allow: true, type: "b", major: 8, minor: 0 }],
        pids: { limit: 5 },
        blockIO: { weight: 10 },
        network: {},
        memory: { limit: 7 },
        cpu: { cpus: "0", mems: "0", quota: 1, period: 2 },
      },
    },
  });
}

Deno.test("what only means something on the host does not go to the guest", () => {
  const { spec, sandboxPidns } = guestSpec(full(), options);
  assert.equal(spec.root.path, "/guest/rootfs");
  assert.equal(spec.hooks, undefined);
  assert.equal(spec.process.terminal, false);
  assert.equal(spec.process.selinuxLabel, undefined);
  assert.equal(spec.process.apparmorProfile, undefined);
  assert.deepEqual(spec.linux, {
    cgroupsPath: "/a/b",
    namespaces: [{ type: "ipc" }, { type: "uts" }, { type: "mount" }],
    resources: {
      devices: [{ allow: false }],
      pids: { limit: 5 },
      memory: { limit: 7 },
      cpu: { quota: 1, period: 2 },
    },
  });
  assert.equal(sandboxPidns, false);
});

Deno.test("a system call filter goes to the guest where that is not disabled", () => {
  const { spec } = guestSpec(full(), { ...options, disableSeccomp: false });
  assert.deepEqual(spec.linux?.seccomp, { defaultAction: "SCMP_ACT_ALLOW" });
});

Deno.test("a pid namespace with a path is the pod's", () => {
  const spec = testSpec({ linux: { namespaces: [{ type: "pid", path: "/proc/7/ns/pid" }] } });
  const { sandboxPidns, pidContainer } = guestSpec(spec, options);
  assert.deepEqual([sandboxPidns, pidContainer], [true, ""]);
  const containerOf = (pid: number) => pid === 7 ? "target" : undefined;
  assert.equal(guestSpec(spec, { ...options, containerOf }).pidContainer, "target", "or that of a container");
});

Deno.test("the client's spec is left as it is", () => {
  const spec = full();
  guestSpec(spec, options);
  assert.deepEqual(spec, full());
});

Deno.test("of the hooks only those that are the container's own files go to the guest", () => {
  const startContainer = [{ path: "/bin/inside" }];
  const { spec } = guestSpec(testSpec({ hooks: { ...full().hooks, startContainer } }), options);
  assert.deepEqual(spec.hooks, { startContainer });
});

Deno.test("an SELinux label goes to a guest that has SELinux, with a type that its policy knows", () => {
  const host = testSpec({
    process: { ...testSpec().process, selinuxLabel: "system_u:system_r:spc_t:s0:c1,c2" },
  });
  const labelWith = (change: { disable_guest_selinux: boolean; guest_selinux_label?: string }) => {
    const config = testConfig();
    config.hypervisor.disable_guest_selinux = change.disable_guest_selinux;
    config.runtime.guest_selinux_label = change.guest_selinux_label ?? "";
    return guestSpec(host, { ...options, ...sandboxPolicy(config) }).spec.process.selinuxLabel;
  };
  assert.equal(labelWith({ disable_guest_selinux: true }), undefined);
  assert.equal(labelWith({ disable_guest_selinux: false }), "system_u:system_r:container_t:s0:c1,c2");
  assert.equal(labelWith({ disable_guest_selinux: false, guest_selinux_label: "u:r:t" }), "u:r:t");
});

Deno.test("a clock of the host's cannot be joined", () => {
  const spec = testSpec({ linux: { namespaces: [{ type: "time", path: "/proc/1/ns/time" }] } });
  assert.throws(() => guestSpec(spec, options), {
    message:
      'config.json: a namespace of type "time" must not have a path, as the guest has a clock of its own: it is "/proc/1/ns/time"',
  });
});
