import assert from "node:assert/strict";
import { FlagError, parseFlags } from "./flags.ts";

Deno.test("flags in every form of Go's syntax, up to the action", () => {
  const args = [
    "-namespace",
    "k8s.io",
    "--address=/run/c.sock",
    "-publish-binary=/bin/containerd",
    "-id",
    "c1",
  ];
  const flags = parseFlags([...args, "-debug", "-bundle", "/b", "delete", "-id", "not a flag any more"]);
  assert.deepEqual(flags, {
    namespace: "k8s.io",
    id: "c1",
    address: "/run/c.sock",
    publishBinary: "/bin/containerd",
    bundle: "/b",
    socket: "",
    debugSocket: "",
    debug: true,
    version: false,
    info: false,
    help: false,
    action: "delete",
  });
});

Deno.test("switches take a value only with an equals sign", () => {
  assert.equal(parseFlags(["-debug", "false"]).debug, true);
  assert.equal(parseFlags(["-debug", "false"]).action, "false");
  assert.equal(parseFlags(["-debug=false"]).debug, false);
  assert.equal(parseFlags(["--v"]).version, true);
  assert.equal(parseFlags(["-version=T"]).version, true);
  assert.equal(parseFlags(["-info"]).info, true);
  assert.equal(parseFlags(["-h"]).help && parseFlags(["--help"]).help, true);
});

Deno.test("two dashes end the flags, one alone is a word", () => {
  assert.equal(parseFlags(["-id", "a", "--", "start"]).action, "start");
  assert.equal(parseFlags(["-"]).action, "-");
  assert.equal(parseFlags([]).action, "");
});

Deno.test("what is no flag is refused in Go's words", () => {
  const cases: [string[], string][] = [
    [["-what"], "flag provided but not defined: -what"],
    [["-id"], "flag needs an argument: -id"],
    [["-debug=maybe"], 'invalid boolean value "maybe" for -debug: parse error'],
  ];
  for (const [args, message] of cases) assert.throws(() => parseFlags(args), new FlagError(message));
});
