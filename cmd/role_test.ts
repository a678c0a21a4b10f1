import assert from "node:assert/strict";
import { calledAs, type Role, roleOf } from "./role.ts";

const ROLES: [argv0: string, pid: number, role: Role][] = [
  ["containerd-shim-kata-v2", 100, "shim"],
  ["/usr/local/bin/containerd-shim-kata-v2", 100, "shim"],
  ["containerd-shim-kata-qemu-v2", 1, "shim"],
  ["kata-monitor", 100, "monitor"],
  ["./kata-agent", 100, "agent"],
  ["/init", 1, "agent"],
  ["/sbin/init", 1, "agent"],
  ["/opt/guest/anything", 1, "agent"],
  ["anything", 100, "runtime"],
  ["kata-runtime", 100, "runtime"],
  // a container whose entry point is the command line is no guest
  ["/usr/local/bin/kata-runtime", 1, "runtime"],
  ["/usr/local/bin/kata", 1, "runtime"],
  ["", 100, "runtime"],
  ["dir/", 100, "runtime"],
];

for (const [argv0, pid, role] of ROLES) {
  Deno.test(`called as "${argv0}" with process id ${pid} the role is ${role}`, () => {
    assert.equal(roleOf(argv0, pid), role);
  });
}

Deno.test("the name a program was called by is the first word of its command line", () => {
  const line = Deno.readTextFileSync("/proc/self/cmdline").split("\0");
  assert.equal(calledAs(), line[0]);
});
