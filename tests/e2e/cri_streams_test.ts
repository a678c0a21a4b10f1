/**
 * Exec and attach with streams, as a user's shell in a pod has them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { startNode } from "./cri/node.ts";
import { ForwardedPort, RemoteProcess } from "./cri/streams.ts";
import { until } from "./containerd.ts";
import { leaksSince, traces } from "./leaks.ts";

Deno.test("streams into a pod", async (t) => {
  const before = await traces();
  {
    await using node = await startNode();
    const pod = await node.runPod();
    const containerId = await pod.run("app", "sleep 1000");
    const exec = async (script: string, options: { tty?: boolean; stdin?: boolean } = {}) => {
      const { tty = false, stdin = false } = options;
      const request = { containerId, cmd: ["sh", "-c", script], tty, stdin, stdout: true, stderr: !tty };
      return await RemoteProcess.open((await node.runtime.exec(request)).url);
    };

    await t.step("a command: its output, its errors, its exit code", async () => {
      using process = await exec("echo out; echo err >&2; exit 6");
      assert.equal(await process.ended(), 6);
      assert.deepEqual([process.stdout, process.stderr], ["out\n", "err\n"]);
    });

    await t.step("a command that reads", async () => {
      using process = await exec("read a; echo got $a; read b; echo got $b", { stdin: true });
      process.write("one\n");
      await process.sees("got one\n");
      process.write("two\n");
      assert.equal(await process.ended(), 0);
      assert.equal(process.stdout, "got one\ngot two\n");
    });

    await t.step("a terminal: size, its change, interruption, exit code", async () => {
      const script = "trap 'exit 9' INT; stty size; read x; stty size; echo go; while :; do sleep 0.1; done";
      using process = await exec(script, { tty: true, stdin: true });
      await process.sees("\r\n");
      process.resize(101, 33);
      process.write("\n");
      await process.sees("33 101\r\n");
      await process.sees("go\r\n");
      process.write("\x03");
      assert.equal(await process.ended(), 9);
    });

    await t.step("a container that is attached to", async () => {
      const script = 'echo ready; while read line; do echo "<$line>"; [ "$line" = end ] && exit 8; done';
      const id = await pod.run("attached", script, { stdin: true, tty: true });
      const request = { containerId: id, tty: true, stdin: true, stdout: true };
      using first = await RemoteProcess.open((await node.runtime.attach(request)).url);
      first.write("hello\n");
      await first.sees("<hello>\r\n");
      // who leaves does not end it, and who comes later gets what comes later
      first[Symbol.dispose]();
      using second = await RemoteProcess.open((await node.runtime.attach(request)).url);
      second.write("again\n");
      await second.sees("<again>\r\n");
      second.write("end\n");
      assert.equal((await pod.exited(id)).exitCode, 8);
      assert.match(await pod.output(id), /ready[^]*<hello>[^]*<again>[^]*<end>/);
    });

    await t.step("a port that is forwarded to the pod's loopback", async () => {
      const script =
        "printf '#!/bin/sh\\nread x; echo got $x; echo end' > /tmp/answer; chmod +x /tmp/answer; " +
        "while :; do nc -l -p 8080 -e /tmp/answer; done";
      const server = await pod.run("server", script);
      // 8080, where somebody waits for connections
      const listens = "cat /proc/net/tcp /proc/net/tcp6 | grep -q ':1F90 .* 0A '";
      for (const text of ["one", "two"]) {
        await until("it listens", async () => (await pod.exec(server, listens)).code === 0);
        const { url } = await node.runtime.portForward({ podSandboxId: pod.id, port: [8080] });
        using port = await ForwardedPort.open(url);
        port.write(`${text}\n`);
        await until("it answers", () => port.data.includes("end\n"));
        assert.deepEqual([port.data, port.error], [`got ${text}\nend\n`, ""]);
        await port.closed();
      }
    });

    await pod.stop();
    await pod.remove();
  }
  assert.deepEqual(await leaksSince(before), []);
});
