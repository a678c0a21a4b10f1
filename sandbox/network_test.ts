import assert from "node:assert/strict";
import { Code } from "../rpc/errors.ts";
import { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import { networkNamespace, reportLinks } from "./network.ts";
import { testSpec } from "./testing/fake_host.ts";

function specWith(path: string | undefined) {
  return testSpec({ linux: { namespaces: [{ type: "network", path }] } });
}

/** A network namespace that lives as long as a process in it. */
async function withNamespace(use: (path: string) => Promise<void>): Promise<void> {
  const command = new Deno.Command("unshare", {
    args: ["--net", "sh", "-c", "echo ready; exec sleep 1000"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  const process = command.spawn();
  const reader = process.stdout.getReader();
  try {
    await reader.read();
    await use(`/proc/${process.pid}/ns/net`);
  } finally {
    await reader.cancel();
    process.kill("SIGKILL");
    await process.status;
  }
}

Deno.test("without a namespace of the client's there is none to enter", () => {
  assert.equal(networkNamespace(testSpec()), undefined);
  assert.equal(networkNamespace(specWith(undefined)), undefined);
});

Deno.test("the host's own namespace, and one that is not there, are refused", () => {
  assert.throws(() => networkNamespace(specWith("/proc/self/ns/net")), {
    code: Code.InvalidArgument,
    message: 'network namespace "/proc/self/ns/net" is the host\'s own: a virtual machine cannot share it',
  });
  assert.throws(() => networkNamespace(specWith("/run/netns/nowhere")), {
    message: 'network namespace "/run/netns/nowhere" does not exist',
  });
});

Deno.test("a network that does not reach into the guest is told of; loopback alone is none", async () => {
  await withNamespace(async (path) => {
    assert.equal(networkNamespace(specWith(path)), path);
    const lines: string[] = [];
    const log = { write: (level: string, message: string) => lines.push(`${level} ${message}`) };
    await reportLinks(path, log);
    assert.deepEqual(lines, []);
    using netlink = new Rtnetlink(path);
    await netlink.addLink({ name: "eth0", kind: "veth" });
    await reportLinks(path, log);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? "",
      /^warning the guest has no network: links of ".*" are not connected: .*"eth0"/,
    );
  });
});
