import assert from "node:assert/strict";
import { AT, mknodAt, S } from "../../sys/fd.ts";
import { testConfig, testSpec } from "../testing/fake_host.ts";
import { sandboxRequest } from "./sandbox_request.ts";

Deno.test("only a file of a sensible size tells the guest its servers of names", () => {
  const folder = Deno.makeTempDirSync({ prefix: "kata-request-" });
  try {
    const source = `${folder}/resolv.conf`;
    const mounts = [{ destination: "/etc/resolv.conf", type: "bind", source }];
    const lines = () => sandboxRequest("s", { ...testSpec(), mounts }, testConfig()).dns;
    assert.deepEqual(lines(), []);
    Deno.writeTextFileSync(source, "nameserver 192.0.2.1\n\nsearch x\n");
    assert.deepEqual(lines(), ["nameserver 192.0.2.1", "search x"]);
    Deno.writeTextFileSync(source, "x\n".repeat(100_000));
    assert.deepEqual(lines(), []);
    Deno.removeSync(source);
    // to read it is to wait for somebody who writes
    mknodAt(AT.FDCWD, source, S.IFIFO | 0o600);
    assert.deepEqual(lines(), []);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
