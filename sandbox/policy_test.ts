import assert from "node:assert/strict";
import { sandboxPolicy } from "./policy.ts";
import { testConfig } from "./testing/fake_host.ts";

Deno.test("disks that other processes serve are looked for where the configuration says, if at all", () => {
  const config = testConfig();
  assert.equal(sandboxPolicy(config).servedDisks, undefined);
  Object.assign(config.hypervisor, { enable_vhost_user_store: true, vhost_user_store_path: "/store" });
  assert.deepEqual(sandboxPolicy(config).servedDisks, { folder: "/store", reconnectS: 0 });
});
