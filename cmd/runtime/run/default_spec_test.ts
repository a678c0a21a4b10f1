import assert from "node:assert/strict";
import { parseSpec } from "../../../oci/validate.ts";
import { defaultSpec, type SpecInput } from "./default_spec.ts";

const input: SpecInput = {
  id: "one",
  rootfs: "/srv/rootfs",
  args: ["uname", "-r"],
  env: [],
  cwd: "/",
  uid: 0,
  gid: 0,
  terminal: false,
  readonlyRoot: false,
  hostname: "one",
  mounts: [],
};

Deno.test("defaultSpec() is a valid runtime specification", () => {
  const spec = parseSpec(JSON.stringify(defaultSpec(input)), "config.json");
  assert.deepEqual(spec.process?.args, ["uname", "-r"]);
  assert.equal(spec.root?.path, "/srv/rootfs");
});

Deno.test("defaultSpec() sets PATH once and TERM only with a terminal", () => {
  assert.deepEqual(defaultSpec(input).process?.env?.map((entry) => entry.split("=")[0]), ["PATH"]);
  const own = defaultSpec({ ...input, env: ["PATH=/x", "A=b"], terminal: true }).process?.env ?? [];
  assert.deepEqual(own.filter((entry) => entry.startsWith("PATH=")), ["PATH=/x"]);
  assert.equal(own.filter((entry) => entry.startsWith("TERM=")).length, 1);
});

Deno.test("defaultSpec() turns a CPU limit into quota and period", () => {
  assert.deepEqual(defaultSpec({ ...input, cpuLimit: 0.5 }).linux?.resources?.cpu, {
    period: 100000,
    quota: 50000,
  });
  assert.equal(defaultSpec(input).linux?.resources?.cpu, undefined);
});

Deno.test("defaultSpec() has a new network namespace, or the one that is named", () => {
  const of = (netns?: string) =>
    defaultSpec({ ...input, ...(netns && { netns }) }).linux?.namespaces?.find(({ type }) =>
      type === "network"
    );
  assert.deepEqual(of(), { type: "network" });
  assert.deepEqual(of("/run/netns/blue"), { type: "network", path: "/run/netns/blue" });
});
