/**
 * What an operator does with a running sandbox, by the command line: look at it, open a shell in its guest, change its
 * packet filter.
 *
 * @module
 */

import assert from "node:assert/strict";
import { closeFd } from "../../sys/fd.ts";
import { openPty, setWindowSize } from "../../sys/pty.ts";
import { signalNumber } from "../../sys/signals.ts";
import { spawn } from "../../sys/spawn.ts";
import { addVolume, claimVolume, removeVolume } from "../../fs/direct_volume.ts";
import { HOST_PATHS } from "../../sandbox/state/paths.ts";
import { writeConfiguration } from "./configuration.ts";
import { until } from "./containerd.ts";
import { POD, startShim } from "./direct_shim.ts";
import { initrdWith, PACKET_FILTER, SHELL } from "./guest_with.ts";
import { kata, type KataOptions, text } from "./kata_run.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { programUnderTest } from "./program.ts";
import { temporaryRootfs } from "./rootfs.ts";
import { screen } from "./screen.ts";

const ID = ownId("operated");
/** How long a log is followed for what is expected, in milliseconds. */
const FOLLOW_MS = 180_000;

const PREFIX = ID.slice(0, -1);

/** What a command prints; it must succeed. */
async function out(args: readonly string[], options: KataOptions = {}): Promise<string> {
  const ran = await kata(args, { program: programUnderTest(), ...options });
  assert.equal(ran.code, 0, `${args.join(" ")}: ${ran.stderr}`);
  return text(ran);
}

/** What a command complains of; it must fail with 1, a line, and no stack. */
async function complaint(...args: string[]): Promise<string> {
  const ran = await kata(args, { program: programUnderTest() });
  assert.equal(ran.code, 1, `${args.join(" ")}: ${text(ran)}`);
  assert.doesNotMatch(ran.stderr, /\n\s+at |\.ts:/);
  return ran.stderr.trimEnd();
}

const encode = (words: string) => new TextEncoder().encode(words);

Deno.test("an operator looks at a sandbox, and into its guest", async (t) => {
  const before = await traces();
  let followed: Followed | undefined;
  {
    await using rootfs = await temporaryRootfs();
    const initrd = await initrdWith(rootfs.folder, [...SHELL, ...PACKET_FILTER]);
    const configuration = writeConfiguration(rootfs.folder, {
      hypervisor: { initrd },
      agent: { debug_console_enabled: true },
    });
    await using shim = await startShim(ID, { configuration });
    const bundle = shim.writeBundle(ID, { args: ["sleep", "1000"], rootfs: rootfs.path, annotations: POD });
    await shim.task.create({ id: ID, bundle });
    await shim.task.start({ id: ID });

    await t.step("the sandbox is listed", async () => {
      const line = (await out(["list"])).split("\n").find((line) => line.startsWith(ID));
      assert.match(line ?? "", /^\S+ +running +\d+[sm]\d* +\d+ +\d+ MiB +1$/);
      const listed = JSON.parse(await out(["list", "--json"])) as Record<string, unknown>[];
      const own = listed.find(({ id }) => id === ID);
      assert.equal(own?.shimPid, shim.pid);
      assert.equal(own?.bundle, bundle);
      assert.deepEqual(own?.containers, [{ id: ID, state: "running" }]);
      assert.ok((await out(["list", "--quiet"])).split("\n").includes(ID));
    });

    await t.step("all of its parts tell their metrics", async () => {
      const socket = `/run/vc/sbs/${ID}/shim-monitor.sock`;
      assert.equal(Deno.readTextFileSync(`${bundle}/monitor_address`), `unix://${socket}`);
      const lines = (await out(["metrics", PREFIX])).split("\n");
      for (
        const begin of [
          "kata_hypervisor_threads ",
          "kata_virtiofsd_threads ",
          "kata_shim_threads ",
          'kata_shim_rpc_durations_histogram_milliseconds_count{action="create"} 1',
          'kata_shim_agent_rpc_durations_histogram_milliseconds_count{action="grpc.CreateSandboxRequest"} 1',
          "kata_agent_scrape_count 1",
          'kata_guest_load{item="load1"} ',
          'kata_guest_meminfo{item="mem_total"} ',
        ]
      ) assert.ok(lines.some((line) => line.startsWith(begin)), begin);
    });

    await t.step("a shell in the guest takes commands from a pipe, and tells its status", async () => {
      const script = "uname -r; ls /init; tty; echo wrong >&2; exit 3\n";
      const ran = await kata(["exec", PREFIX], { program: programUnderTest(), input: encode(script) });
      assert.equal(ran.code, 3, ran.stderr);
      const [release, init, ...rest] = text(ran).split("\n");
      assert.notEqual(release, Deno.osRelease());
      assert.deepEqual([init, ...rest], ["/init", "not a tty", "wrong", ""]);
    });

    await t.step("a shell in the guest has the operator's terminal, and gives it back", async () => {
      const { master, slave } = openPty();
      using screenEnd = master;
      setWindowSize(screenEnd.fd, { rows: 33, columns: 101 });
      const path = `/proc/${Deno.pid}/fd/${slave}`;
      const saved = await terminalModes(path);
      await using child = await spawn({
        argv: [programUnderTest(), "exec", ID],
        fds: new Map([[0, slave], [1, slave], [2, slave]]),
        session: true,
        controllingTerminal: true,
      });
      const type = (keys: string) => screenEnd.write(encode(keys));
      await type("PS1='$ '; stty size; tty; echo re''ady\r");
      await screen(screenEnd, /33 101\r\n\/dev\/pts\/\d+\r\nready\r\n/);
      assert.notEqual(await terminalModes(path), saved);
      setWindowSize(screenEnd.fd, { rows: 40, columns: 90 });
      child.signal(signalNumber("SIGWINCH"));
      await type("until [ \"$(stty size)\" = '40 90' ]; do sleep 0.1; done; echo re''sized\r");
      await screen(screenEnd, /resized\r\n/);
      await type("echo sle''eping; sleep 600\r");
      await screen(screenEnd, /sleeping\r\n/);
      await type("\x03");
      await screen(screenEnd, /\$ /);
      await type("exit 9\r");
      assert.deepEqual(await child.wait(), { code: 0, signal: 0 });
      assert.equal(await terminalModes(path), saved);
      closeFd(slave);
    });

    await t.step("the packet filter's rules are set and read back, for both protocols", async () => {
      for (const [version, address] of [[[], "192.0.2.7"], [["--v6"], "2001:db8::7"]] as const) {
        const rules = `${rootfs.folder}/rules`;
        await Deno.writeTextFile(
          rules,
          `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n` +
            `-A INPUT -s ${address} -p tcp -m multiport --dports 80,443 -j DROP\nCOMMIT\n`,
        );
        await out(["iptables", "set", "--sandbox-id", PREFIX, ...version, rules]);
        const saved = await out(["iptables", "get", "--sandbox-id", ID, ...version]);
        const rule = saved.split("\n").find((line) => line.startsWith("-A INPUT"));
        assert.match(
          rule ?? saved,
          new RegExp(`-s ${address}/\\d+ -p tcp -m multiport --dports 80,443 -j DROP`),
        );
        await Deno.writeTextFile(rules, "*filter\nnonsense\nCOMMIT\n");
        assert.match(
          await complaint("iptables", "set", "--sandbox-id", ID, ...version, rules),
          /^Error observed when making iptables-set request\(.*rules\): error sending put: url: \/ip6?tables, status code: 500, response data: ip6?tables-restore exited with \d/,
        );
      }
    });

    await t.step("a volume is asked for where it is used", async () => {
      const path = `/volumes/${ID}`;
      await addVolume(path, '{"device":"/dev/none"}');
      try {
        assert.equal(
          await complaint("direct-volume", "stats", "--volume-path", path),
          `no sandbox found for ${path}`,
        );
        await claimVolume(path, ID);
        assert.match(
          await complaint("direct-volume", "stats", "--volume-path", path),
          new RegExp(`status 500: mount /dev/none not found in sandbox ${ID}$`),
        );
        assert.match(
          await complaint("direct-volume", "resize", "--volume-path", path, "--size", "4096"),
          /^error sending post: url: \/direct-volume\/resize, status code: 500, response data: mount \/dev\/none/,
        );
      } finally {
        removeVolume(path);
      }
    });

    await t.step("what the sandbox reports is kept, at any level, and can be followed", async () => {
      const logged = (await out(["logs", PREFIX])).trimEnd().split("\n");
      assert.ok(logged.every((line) => line.startsWith('time="') && line.includes(` sandbox=${ID}`)));
      assert.ok(
        logged.some((line) => / level=info msg="ready .* source=agent$/.test(line)),
        logged.join("\n"),
      );
      assert.ok(logged.some((line) => line.includes("source=virtiofsd")));
      assert.ok(!logged.some((line) => /level=debug .* source=agent$/.test(line)));
      assert.deepEqual((await out(["logs", "--tail", "2", ID])).split("\n").length, 3);

      const following = new Deno.Command(programUnderTest(), {
        args: ["logs", "--follow", "--agent-level", "debug", ID],
        stdout: "piped",
      }).spawn();
      const lines = new TextDecoderStream();
      const seen = following.stdout.pipeThrough(lines).getReader();
      let text = "";
      const until = async (pattern: RegExp) => {
        while (!pattern.test(text)) {
          const { value, done } = await seen.read();
          assert.ok(!done, `it ended with ${text}`);
          text += value;
        }
      };
      const limit = setTimeout(() => following.kill(), FOLLOW_MS);
      // what was there before shows that what comes from now on is seen
      await until(/msg="ready /);
      const opened = (text.match(/msg="a debug console was opened" sandbox=\S+ console=/g) ?? []).length;
      await kata(["exec", ID], { program: programUnderTest(), input: encode("exit\n") });
      await until(new RegExp(`"a debug console was opened" sandbox=\\S+ console=${opened + 1}\n`));
      // the agent's own, of the level that it logs by now
      await kata(["iptables", "set", "--sandbox-id", ID, "/dev/null"], { program: programUnderTest() });
      const wrong = `${rootfs.folder}/wrong`;
      await Deno.writeTextFile(wrong, "nonsense\n");
      await complaint("iptables", "set", "--sandbox-id", ID, wrong);
      await until(/level=debug msg="setIPTables failed .* source=agent\n/);
      clearTimeout(limit);
      followed = { following, seen };
      assert.match(
        await complaint("logs", "--agent-level", "loud", ID),
        /status 500: the log's level must be one of trace, .*: it is "loud"$/,
      );
      assert.match(await complaint("logs", "no-such"), /^there is no sandbox "no-such": "/);
    });

    await t.step("a sandbox whose owner stands still is told of in a sentence", async () => {
      Deno.kill(shim.pid, "SIGSTOP");
      try {
        assert.match(await complaint("metrics", ID), /shim-monitor\.sock" did not answer within 3 s$/);
      } finally {
        Deno.kill(shim.pid, "SIGCONT");
      }
    });
    // it gets everything at once then, the end too
    followed?.following.kill("SIGSTOP");
  }
  // who follows a log is told of its end
  followed?.following.kill("SIGCONT");
  for (; followed !== undefined && !(await followed.seen.read()).done;);
  assert.equal((await followed?.following.status)?.code, 0);
  assert.deepEqual(await leaksSince(before), []);
  assert.match(await complaint("metrics", ID), /^It fails to stat both \/run\/vc\/sbs\/operated-/);
});

Deno.test("commands about a sandbox that is none say so in a line", async () => {
  const socket = (id: string) =>
    new RegExp(
      `^It fails to stat both /run/vc/sbs/${id}/shim-monitor.sock and /run/kata/${id}/shim-monitor.sock with ` +
        `error stat /run/kata/${id}/shim-monitor.sock: no such file or directory.$`,
    );
  const invalid = /^invalid container\/sandbox ID \(should match "/;
  for (
    const [args, message] of [
      [["metrics", "no-such"], socket("no-such")],
      [["exec", "no-such"], socket("no-such")],
      [["exec", "--kata-debug-port", "1026", "no-such"], socket("no-such")],
      [
        ["exec", "--kata-debug-port", "x", "no-such"],
        /"x" for flag -kata-debug-port: must be a number up to \d+$/,
      ],
      [["metrics", "../x"], invalid],
      [["metrics", ""], /^ID cannot be blank$/],
      [["iptables", "get", "--sandbox-id", "no-such"], socket("no-such")],
      [["iptables", "get"], /Required flag "sandbox-id" not set/],
      [["iptables", "set", "--sandbox-id", "no-such"], /^iptables file not provided$/],
      [["iptables", "set", "--sandbox-id", "no-such", "/none"], /^iptables file does not exist: \/none$/],
      [["direct-volume", "stats", "--volume-path", "/none"], /^open .*L25vbmU=: no such file or directory$/],
      [["direct-volume", "add", "--volume-path", "/none", "--mount-info", "{"], /is not JSON/],
      [["direct-volume", "resize", "--volume-path", "/none", "--size", "1e3"], /must be a number of bytes/],
    ] as const
  ) {
    assert.match(await complaint(...args), message, args.join(" "));
  }
  assert.equal(await out(["direct-volume", "delete", "--volume-path", "/none"]), "");
});

/** A command that follows a log, and what it prints. */
interface Followed {
  readonly following: Deno.ChildProcess;
  readonly seen: ReadableStreamDefaultReader<string>;
}

/** How a terminal is set, in words of its own. */
async function terminalModes(path: string): Promise<string> {
  const { stdout } = await new Deno.Command("stty", { args: ["-g", "-F", path] }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("a log that is followed is no longer followed when its reader has gone", async () => {
  const id = ownId("unread");
  const folder = `${HOST_PATHS.state}/${id}`;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await Deno.writeTextFile(`${folder}/log`, "first\n");
    const piped = new Deno.Command("bash", {
      args: ["-o", "pipefail", "-c", `"$0" logs --follow ${id} | head -1`, programUnderTest()],
      stdout: "piped",
    }).spawn();
    let isOver = false;
    piped.status.then(() => isOver = true);
    await until("the command ends", async () => {
      await Deno.writeTextFile(`${folder}/log`, "further\n", { append: true });
      return isOver;
    });
    const { code, stdout } = await piped.output();
    assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "first\n"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
