/**
 * Pods as a node agent makes them, over the socket of a stock containerd.
 *
 * @module
 */

import assert from "node:assert/strict";
import { NamespaceMode } from "../../rpc/gen/cri_pb.ts";
import { until } from "./containerd.ts";
import { startNode } from "./cri/node.ts";
import { leaksSince, traces } from "./leaks.ts";

Deno.test("a pod", async (t) => {
  const before = await traces();
  {
    await using node = await startNode();
    const pod = await node.runPod();
    await t.step("two containers talk over localhost", async () => {
      const server = await pod.run("server", "while true; do echo hello | nc -l -p 8080; done");
      const client = await pod.runToEnd(
        "client",
        "until nc 127.0.0.1 8080 2>/dev/null; do sleep 0.1; done; exit 7",
      );
      assert.deepEqual(client, { output: "hello\n", code: 7, reason: "Error" });
      assert.deepEqual(await pod.exec(server, "hostname; exit 3"), { code: 3, stdout: `pod1\n`, stderr: "" });
    });
    await t.step("containers that share the pod's processes", async () => {
      const linux = { securityContext: { namespaceOptions: { pid: NamespaceMode.POD } } };
      const other = await pod.run("other", "sleep 1000 & sleep 1000; true", { linux });
      const probe = await pod.run("probe", "sleep 1000", { linux });
      const three = / sleep 1000\n.* sleep 1000\n.* sleep 1000\n/;
      // a shell is a container's process before it has started others
      await until("all run", async () => three.test((await pod.exec(probe, "ps")).stdout));
      // without one that the kernel would end with it, the rest of a container has to be ended
      await node.runtime.stopContainer({ containerId: other });
      assert.doesNotMatch((await pod.exec(probe, "ps")).stdout, / sleep 1000\n.* sleep 1000\n/);
    });
    await t.step(
      "a container that is there to debug another one sees its processes, and no others",
      async () => {
        const [target] = [await pod.run("target", "exec sleep 1000"), await pod.run("beside", "sleep 1000")];
        const namespaceOptions = { pid: NamespaceMode.TARGET, targetId: target };
        const linux = { securityContext: { namespaceOptions } };
        const script = "ps -o args | grep -v ps; ls -d /proc/1/root/bin";
        const seen = await pod.runToEnd("debugger", `exec sh -c '${script}'`, { linux });
        assert.match(seen.output, /^COMMAND\nsleep 1000\n(?:.*\bsh -c .*\n)?\/proc\/1\/root\/bin\n$/);
        const debug = await pod.run("debugger", "sleep 2000", { linux });
        await node.runtime.stopContainer({ containerId: target });
        assert.equal((await pod.exited(debug)).exitCode, 137, "it ends with the one that it looks at");
      },
    );
    await pod.stop();
    await pod.remove();
  }
  assert.deepEqual(await leaksSince(before), []);
});
