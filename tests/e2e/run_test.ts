/** The product without containerd: `kata-runtime run` on real virtual machines. */

import assert from "node:assert/strict";
import { DIST } from "../../tools/paths.ts";
import { kata, onHost, spawnKata, text } from "./kata_run.ts";
import { pause } from "./containerd.ts";
import { ownId } from "./leaks.ts";

const HOST_KERNEL = (await Deno.readTextFile("/proc/sys/kernel/osrelease")).trim();

Deno.test(
  "run: the command sees a kernel, a host name, processes and devices of its own",
  onHost(async (rootfs) => {
    const script = [
      "uname -r",
      "hostname",
      "echo pid=$$",
      "ls /dev | tr '\\n' ' '",
      "grep -c . /proc/net/dev",
      "cat /proc/1/comm",
      "readlink /proc/self/exe",
    ].join("; echo ==; ");
    const ran = await kata(["run", "--name", "own-kernel", "--rootfs", rootfs, "--", "sh", "-c", script]);
    assert.equal(ran.code, 0, ran.stderr);
    const [kernel, hostname, pid, devices, links] = text(ran).split("==").map((part) => part.trim());
    assert.notEqual(kernel, HOST_KERNEL);
    assert.match(kernel ?? "", /^\d+\.\d+/);
    assert.equal(hostname, "own-kernel");
    assert.equal(pid, "pid=1");
    for (const device of ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "shm"]) {
      assert.ok(devices?.split(" ").includes(device), `/dev/${device} in "${devices}"`);
    }
    assert.equal(links, "3", "two lines of heading and the loopback interface");
  }),
);

Deno.test(
  "run: output streams stay apart, and the exit code is the command's",
  onHost(async (rootfs) => {
    const ran = await kata([
      "run",
      "--rootfs",
      rootfs,
      "--",
      "sh",
      "-c",
      "echo to-out; echo to-err >&2; exit 42",
    ]);
    assert.deepEqual({ code: ran.code, out: text(ran), err: ran.stderr }, {
      code: 42,
      out: "to-out\n",
      err: "to-err\n",
    });
  }),
);

Deno.test(
  "run: what the flags say about the process holds in the container",
  onHost(async (rootfs, folder) => {
    await Deno.mkdir(`${folder}/shared`);
    await Deno.writeTextFile(`${folder}/shared/from-host`, "hello\n");
    const flags = [
      ...[
        "--env",
        "GREETING=hi there",
        "--cwd",
        "/tmp",
        "--user",
        "nobody",
        "--hostname",
        "box",
        "--read-only",
      ],
      ...[
        "--cpus",
        "2",
        "--memory",
        "512M",
        "--mount",
        `type=bind,src=${folder}/shared,dst=/shared,options=ro`,
      ],
      ...["--mount", "type=tmpfs,dst=/scratch,options=size=1m:mode=1777"],
    ];
    const script = [
      "echo $GREETING",
      "pwd",
      "id -u",
      "hostname",
      "nproc",
      "cat /shared/from-host",
      "touch /shared/x 2>/dev/null && echo writable || echo read-only",
      "touch /x 2>/dev/null && echo writable || echo read-only",
      "touch /scratch/x && echo writable",
      "awk '/MemTotal/ { print ($2 < 524288 && $2 > 300000) ? \"512M\" : $2 }' /proc/meminfo",
    ].join("; ");
    const ran = await kata(["run", ...flags, "--rootfs", rootfs, "--", "sh", "-c", script]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(text(ran).trimEnd().split("\n"), [
      "hi there",
      "/tmp",
      "65534",
      "box",
      "2",
      "hello",
      "read-only",
      "read-only",
      "writable",
      "512M",
    ]);
  }),
);

Deno.test(
  "run: 64 MiB through stdin and stdout arrive unchanged",
  onHost(async (rootfs) => {
    const input = new Uint8Array(64 * 1024 * 1024);
    for (let at = 0; at < input.length; at += 65536) crypto.getRandomValues(input.subarray(at, at + 65536));
    const ran = await kata(["run", "--rootfs", rootfs, "--", "cat"], { input, timeoutMs: 240_000 });
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal(ran.stdout.length, input.length);
    assert.equal(await sha256(ran.stdout), await sha256(input));
  }),
);

Deno.test(
  "run: a signal reaches the process, and a process that does not handle SIGTERM ends",
  onHost(async (rootfs) => {
    const trap = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    for (
      const [command, code, output] of [[trap, 5, "ready\ngot it\n"], [
        "echo ready; sleep 600",
        137,
        "ready\n",
      ]]
    ) {
      const child = spawnKata(["run", "--rootfs", rootfs, "--", "sh", "-c", String(command)]);
      const reader = child.stdout.getReader();
      let seen = "";
      while (!seen.includes("ready")) {
        const { value, done } = await reader.read();
        assert.ok(!done, `it ended after ${JSON.stringify(seen)}`);
        seen += new TextDecoder().decode(value);
      }
      child.kill("SIGTERM");
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        seen += new TextDecoder().decode(part.value);
      }
      const [status] = await Promise.all([child.status, child.stderr.cancel()]);
      assert.deepEqual([status.code, seen], [code, output], String(command));
    }
    const line = '"$0" run --rootfs "$1" -- yes | head -1; echo "${PIPESTATUS[0]}"';
    const piped = await new Deno.Command("bash", { args: ["-c", line, `${DIST}/kata`, rootfs] }).output();
    assert.equal(new TextDecoder().decode(piped.stdout), "y\n141\n", "one that nobody reads ends, too");
  }),
);

Deno.test(
  "run: interrupted while the machine boots, it ends at once and leaves nothing",
  onHost(async (rootfs) => {
    const child = spawnKata(["run", "--rootfs", rootfs, "--", "true"]);
    await pause(1500);
    child.kill("SIGINT");
    const { code } = await child.output();
    assert.equal(code, 130);
  }),
);

Deno.test(
  "run: killed without a chance to clean up, it takes its machine with it",
  onHost(async (rootfs) => {
    for (const name of [["--name", ownId("killed-run")], []]) {
      const child = spawnKata(["run", ...name, "--rootfs", rootfs, "--", "sh", "-c", "echo up; sleep 600"]);
      const reader = child.stdout.getReader();
      await reader.read();
      child.kill("SIGKILL");
      await reader.cancel();
      await Promise.all([child.status, child.stderr.cancel()]);
      // a later run, under the same name or another, removes what the killed one left in its folders
      const again = await kata(["run", ...name, "--rootfs", rootfs, "--", "true"]);
      assert.equal(again.code, 0, again.stderr);
    }
  }),
);

Deno.test(
  "run: a bundle's config.json is honoured, hooks and all, and --keep leaves one that runs again",
  onHost(async (rootfs) => {
    const first = await kata(["run", "--keep", "--rootfs", rootfs, "--", "sh", "-c", "echo kept; exit 3"]);
    assert.equal(first.code, 3, first.stderr);
    const bundle = /kept in (\S+)/.exec(first.stderr)?.[1];
    assert.ok(bundle, first.stderr);
    try {
      const log = `${bundle}/hooks.log`;
      const hook = (kind: string) => ({
        path: "/bin/sh",
        args: [
          "sh",
          "-c",
          `read -r state; echo "${kind} $state" >> ${log}; readlink /proc/self/ns/net >> ${log}.net`,
        ],
      });
      const spec = JSON.parse(await Deno.readTextFile(`${bundle}/config.json`));
      spec.hooks = {
        createRuntime: [hook("createRuntime")],
        startContainer: [{ path: "/bin/sh", args: ["sh", "-c", "echo from the guest > /dev/shm/hook"] }],
        poststart: [hook("poststart")],
        poststop: [hook("poststop")],
      };
      spec.process.args = ["sh", "-c", "cat /dev/shm/hook; exit 3"];
      await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
      const second = await kata(["run", "--bundle", bundle]);
      assert.deepEqual([second.code, text(second)], [3, "from the guest\n"], second.stderr);
      const ran = (await Deno.readTextFile(log)).trim().split("\n").map((line) => {
        const { status } = JSON.parse(line.slice(line.indexOf(" ")));
        return `${line.split(" ")[0]} ${status}`;
      });
      assert.deepEqual(ran, ["createRuntime creating", "poststart running", "poststop stopped"]);
      const networks = new Set((await Deno.readTextFile(`${log}.net`)).trim().split("\n"));
      assert.deepEqual([networks.size, networks.has(await Deno.readLink("/proc/self/ns/net"))], [1, false]);
    } finally {
      await Deno.remove(bundle, { recursive: true });
    }
  }),
);

async function sha256(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
