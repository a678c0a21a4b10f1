import assert from "node:assert/strict";
import type { Spec } from "../oci/spec.ts";
import { tempDir } from "../sys/test_helpers.ts";
import { scanGuestHooks, withGuestHooks } from "./guest_hooks.ts";
import { createLogger } from "./log.ts";

Deno.test("scanGuestHooks() takes executable files in the order of their names, and nothing else", () => {
  using folder = tempDir();
  const { path } = folder;
  Deno.mkdirSync(`${path}/prestart/folder`, { recursive: true });
  for (const [name, mode] of [["20-b", 0o755], ["10-a", 0o100], ["30-data", 0o644]] as const) {
    Deno.writeTextFileSync(`${path}/prestart/${name}`, "");
    Deno.chmodSync(`${path}/prestart/${name}`, mode);
  }
  Deno.symlinkSync("10-a", `${path}/prestart/00-link`);
  const logged: string[] = [];
  const hooks = scanGuestHooks(path, createLogger("info", (line) => logged.push(line)));
  assert.deepEqual(hooks, {
    prestart: [
      { path: `${path}/prestart/10-a`, args: ["10-a", "prestart"] },
      { path: `${path}/prestart/20-b`, args: ["20-b", "prestart"] },
    ],
  });
  assert.match(logged.join("\n"), /no guest hooks of a kind.*poststop.*guest hooks prestart=2/s);
});

Deno.test("scanGuestHooks() looks for nothing where no folder is named", () => {
  const logged: string[] = [];
  assert.deepEqual(scanGuestHooks("", createLogger("debug", (line) => logged.push(line))), {});
  assert.deepEqual(logged, []);
});

Deno.test("withGuestHooks() puts the guest's hooks after the container's own", () => {
  const spec = { hooks: { prestart: [{ path: "/own" }], startContainer: [{ path: "/start" }] } } as Spec;
  const guest = { prestart: [{ path: "/guest" }], poststop: [{ path: "/stop" }] };
  assert.deepEqual(withGuestHooks(spec, guest).hooks, {
    prestart: [{ path: "/own" }, { path: "/guest" }],
    startContainer: [{ path: "/start" }],
    poststop: [{ path: "/stop" }],
  });
});
