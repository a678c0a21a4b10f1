import assert from "node:assert/strict";
import { DEFAULT_GLOBALS, readCommandLine, UsageError } from "./globals.ts";

Deno.test("options before the command are taken with one dash or two, joined or apart", () => {
  const table: [string[], Record<string, unknown>, string[]][] = [
    [["run", "--config", "x"], {}, ["run", "--config", "x"]],
    [["--config", "a.toml", "env"], { config: "a.toml" }, ["env"]],
    [["-config=a=b.toml", "env"], { config: "a=b.toml" }, ["env"]],
    [["--kata-config", "a", "env", "--json"], { config: "a" }, ["env", "--json"]],
    [["--log", "/l", "--log-format=json", "check"], { log: "/l", logFormat: "json" }, ["check"]],
    [["--rootless", "true", "env"], { rootless: true }, ["env"]],
    [["--rootless=", "env"], { rootless: "auto" }, ["env"]],
    [["--systemd-cgroup", "create"], { systemdCgroup: true }, ["create"]],
    [["--systemd-cgroup=false", "--root", "/x", "list"], { root: "/x" }, ["list"]],
    [["--", "-x"], {}, ["-x"]],
    [["-", "x"], {}, ["-", "x"]],
    [[], {}, []],
  ];
  for (const [args, said, rest] of table) {
    assert.deepEqual(
      readCommandLine(args),
      { globals: { ...DEFAULT_GLOBALS, ...said }, rest },
      args.join(" "),
    );
  }
});

Deno.test("options that are answered without a command", () => {
  assert.equal(readCommandLine(["--version"]).question, "version");
  assert.equal(readCommandLine(["-h", "run"]).question, "help");
  assert.equal(readCommandLine(["--help=false", "run"]).question, undefined);
  const paths = readCommandLine(["--log", "/l", "--show-default-config-paths", "--nonsense"]);
  assert.equal(paths.question, "default config paths", "whatever follows");
});

Deno.test("mistakes before the command are sentences that name them", () => {
  const table: [string[], string][] = [
    [["--confg", "x"], "flag provided but not defined: -confg: did you mean --config?"],
    [["-x"], "flag provided but not defined: -x"],
    [["--config"], "flag needs an argument: -config"],
    [["--log-format", "xml"], 'unknown log-format "xml": must be "text" or "json"'],
    [["--rootless", "maybe"], 'invalid value "maybe" for flag -rootless: must be true, false or auto'],
    [["--systemd-cgroup=2"], 'invalid value "2" for flag -systemd-cgroup: must be true or false'],
    [["--root", "/a/../"], "Option --root argument should not be set to /"],
  ];
  for (const [args, message] of table) {
    assert.throws(() => readCommandLine(args), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, message);
      return true;
    });
  }
});
