import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { code } from "../../rpc/testing/failure.ts";
import { createSandbox } from "../create_sandbox.ts";
import { noIo } from "../io/streams.ts";
import { silentLog } from "../log/log.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { POLICY_ANNOTATION } from "./spec.ts";

const POLICY = "package agent_policy\ndefault ExecProcessRequest := false # für niemanden\n";
const ENCODED = new TextEncoder().encode(POLICY).toBase64();

function create(host: FakeHost) {
  const config = testConfig();
  Object.assign(config.agent, { policy: ENCODED });
  const spec = testSpec({ annotations: { [POLICY_ANNOTATION]: ENCODED, other: "x" } });
  return createSandbox({ id: "s1", spec, config, log: silentLog, host, paths: host.paths });
}

Deno.test("a policy is given to the agent first, and is not in the guest's configuration", async () => {
  await using host = new FakeHost();
  await using sandbox = await create(host);
  assert.equal(host.guest.policy, POLICY);
  assert.deepEqual(host.guest.calls, ["setPolicy", "createSandbox"]);
  const annotations = { [POLICY_ANNOTATION]: ENCODED, other: "x" };
  const spec = testSpec({ annotations });
  await sandbox.createContainer({ id: "s1", bundle: host.bundle, spec, rootfs: [], io: noIo() });
  assert.deepEqual(host.guest.requests[0]?.OCI?.Annotations, { other: "x" });
});

Deno.test("a pod with a policy is refused by an agent that knows none, or not this one", async () => {
  const about = `the agent in the guest does not take the policy of annotation "${POLICY_ANNOTATION}"`;
  const cases: [number, string, number, string][] = [
    [Code.Unimplemented, "method SetPolicy", Code.FailedPrecondition, "it was built without policies"],
    [Code.NotFound, "is not supported", Code.FailedPrecondition, "it was built without policies"],
    [Code.InvalidArgument, "line 1 must be good", Code.InvalidArgument, "line 1 must be good"],
  ];
  for (const [answer, text, expected, why] of cases) {
    await using host = new FakeHost();
    host.guest.before.set("setPolicy", () => {
      throw new RpcError(answer, text);
    });
    const failed = create(host);
    await assert.rejects(failed, { message: `${about}: ${why}` });
    assert.equal(await code(failed), expected);
    assert.deepEqual(host.left(), []);
  }
});
