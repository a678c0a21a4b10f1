import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import { rejects, TestAgent } from "../testing/harness.ts";

/** Allows some requests and denies all others. */
function allowing(...names: readonly string[]): string {
  return ["package agent_policy", ...names.map((name) => `default ${name} := true`)].join("\n");
}

const LIFE = [
  "CreateSandboxRequest",
  "DestroySandboxRequest",
  "CreateContainerRequest",
  "StartContainerRequest",
  "RemoveContainerRequest",
  "WaitProcessRequest",
];

Deno.test("a policy decides which requests are answered; without one all are", async () => {
  await using agent = new TestAgent();
  const { client, health } = agent;
  await client.getGuestDetails({});
  await client.setPolicy({ policy: allowing(...LIFE, "ReadStreamRequest") });
  const denied = (call: Promise<unknown>, name: string) =>
    rejects(call, Code.PermissionDenied, new RegExp(`^${name} is blocked by policy$`));
  await denied(client.getGuestDetails({}), "GuestDetailsRequest");
  await denied(client.execProcess({ containerId: "c1", execId: "e" }), "ExecProcessRequest");
  await denied(client.writeStdin({ containerId: "c1" }), "WriteStreamRequest");
  await denied(client.setPolicy({ policy: allowing("GuestDetailsRequest") }), "SetPolicyRequest");
  await denied(agent.service(GuestConsole).open({}), "ExecProcessRequest");
  await denied(agent.service(GuestPorts).connect({ port: 1 }), "WriteStreamRequest");
  assert.equal((await health.check({})).status, 1);
  await agent.createSandbox();
  await agent.run("c1", ["echo", "seen"]);
  assert.equal(await agent.readAll("c1"), "seen\n");
  assert.equal((await client.waitProcess({ containerId: "c1" })).status, 0);
});

Deno.test("output that a policy denies is empty, and has an end", async () => {
  await using agent = new TestAgent();
  const { client } = agent;
  await client.setPolicy({ policy: allowing(...LIFE) });
  await agent.createSandbox();
  await agent.run("c1", ["echo", "secret"]);
  const { data } = await client.readStdout({ containerId: "c1", execId: "", len: 100 });
  assert.equal(data.length, 0);
  await rejects(client.readStdout({ containerId: "c1", execId: "", len: 100 }), Code.OutOfRange, /eof/);
});

Deno.test("a policy that allows it can be replaced, and one that is not understood changes nothing", async () => {
  await using agent = new TestAgent();
  const { client } = agent;
  await client.setPolicy({ policy: allowing("SetPolicyRequest", "DestroySandboxRequest") });
  await rejects(client.setPolicy({ policy: "x" }), Code.InvalidArgument, /^line 1 of the policy must be/);
  await rejects(client.getGuestDetails({}), Code.PermissionDenied, /blocked by policy/);
  await client.setPolicy({ policy: allowing("GuestDetailsRequest", "DestroySandboxRequest") });
  const { agentDetails } = await client.getGuestDetails({});
  assert.deepEqual(agentDetails?.extraFeatures, ["agent-policy"]);
});
