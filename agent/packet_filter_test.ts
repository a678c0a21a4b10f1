import assert from "node:assert/strict";
import { restoreTables, savedTables } from "./packet_filter.ts";
import { rejects } from "./testing/harness.ts";
import { Code } from "../rpc/errors.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A folder with programs, each a script. */
class Programs implements Disposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "kata-filter-" });
  readonly asked: string[][] = [];

  constructor(scripts: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(scripts)) {
      Deno.writeTextFileSync(`${this.folder}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    }
  }

  get options() {
    const devices = { needMore: (...names: readonly string[]) => void this.asked.push([...names]) };
    return { devices, folders: ["/nowhere", this.folder] };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("rules are read and written by the program for the protocol, with its modules loaded before", async () => {
  using programs = new Programs({
    "iptables-save": "echo '*filter'",
    "ip6tables-save": "echo '*six'",
    "iptables-restore": 'echo "$@"; /usr/bin/tr a-z A-Z',
    "ip6tables-restore": "/usr/bin/wc -c",
  });
  const { options } = programs;
  assert.equal(decode(await savedTables(false, options)), "*filter\n");
  assert.equal(decode(await savedTables(true, options)), "*six\n");
  const rules = new TextEncoder().encode("*nat\n");
  assert.equal(decode(await restoreTables(false, rules, options)), "--wait 5\n*NAT\n");
  const large = new Uint8Array(1_000_000).fill(120);
  assert.equal(decode(await restoreTables(true, large, options)).trim(), "1000000");
  assert.equal(programs.asked.length, 4);
  assert.ok(programs.asked[0]?.includes("nf_tables"));
});

Deno.test("a program that is missing, fails or writes without end is an error", async () => {
  using programs = new Programs({
    "iptables-save": "while :; do echo x; done",
    "iptables-restore": "echo 'line 1 failed' >&2; exit 2",
  });
  const { options } = programs;
  await rejects(
    savedTables(true, options),
    Code.FailedPrecondition,
    /the guest has no "ip6tables-save" in \/nowhere or .*guest build --with \/usr\/sbin\/ip6tables-save"/,
  );
  await rejects(
    restoreTables(false, new Uint8Array(), options),
    Code.Internal,
    /^iptables-restore exited with 2: line 1 failed$/,
  );
  await rejects(savedTables(false, options), Code.Internal, /^iptables-save /);
});
