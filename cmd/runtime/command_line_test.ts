import assert from "node:assert/strict";
import { type AppContext, runIn } from "./app.ts";
import { failure, why } from "./failure.ts";
import { DEFAULT_GLOBALS } from "./globals.ts";

/** Runs a line in this process. */
async function typed(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const context: AppContext = {
    process: {
      stdout: { write: (text) => void (written.stdout += text) },
      stderr: { write: (text) => void (written.stderr += text) },
    },
    globals: DEFAULT_GLOBALS,
  };
  return { code: await runIn(context, args), ...written };
}

Deno.test("mistakes in a command's arguments are one sentence on standard error, and an exit code", async () => {
  const table: [string[], string][] = [
    [["gest"], 'Invalid command "gest": did you mean "guest"?'],
    [["zebra"], 'Invalid command "zebra"'],
    [[""], 'Invalid command ""'],
    [["create", "c1"], 'Invalid command "create": this version does not have it'],
    [
      ["completion", "tcsh"],
      'Invalid command "completion tcsh": "kata-runtime help completion" lists what there is',
    ],
    [["run", "--zebra"], "flag provided but not defined: -zebra"],
    [["guest", "buidl"], 'Invalid command "guest buidl": did you mean "guest build"?'],
    [["run", "--rotfs", "x"], "flag provided but not defined: -rotfs: did you mean --rootfs?"],
    [["run", "-Q"], "flag provided but not defined: -Q"],
    [["run", "--rootfs"], "flag needs an argument: -rootfs"],
    [["run", "-rootfs", "a", "--rootfs", "b"], 'flag -rootfs is given twice: "a" and "b"'],
    [["run", "--tty=maybe"], 'invalid value "maybe" for flag -tty: must be true or false'],
    [["run", "--memory", "lots"], 'memory must be a size such as 512M or 2G: it is "lots"'],
    [
      ["exec", "-kata-debug-port=x", "sb"],
      'invalid value "x" for flag -kata-debug-port: must be a number up to 4294967294',
    ],
    [
      ["direct-volume", "resize", "-volume-path", "/v", "-size", "1x"],
      'invalid value "1x" for flag -size: must be a number of bytes',
    ],
    [
      ["metrics", "?", "more"],
      'invalid container/sandbox ID (should match "^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"): it is "?"',
    ],
    [["guest", "build", "--kernel=k", "--out=o"], 'Required flag "modules" not set'],
    [
      ["guest", "build", "--kernel=k", "--out=o", "--modules=m", "x"],
      'unexpected argument "x": the command takes none',
    ],
  ];
  for (const [args, message] of table) {
    const code = args[0] === "run" ? 125 : 1;
    assert.deepEqual(await typed(...args), { code, stdout: "", stderr: `${message}\n` }, args.join(" "));
  }
});

Deno.test("help teaches by example, for all commands and for each", async () => {
  const all = await typed("--help");
  assert.equal(all.code, 0);
  for (const part of ["kata-runtime check", "kata-runtime run --rootfs", "--log-format FORMAT", "COMMANDS"]) {
    assert.ok(all.stdout.includes(part), part);
  }
  const group = await typed("guest");
  assert.equal(group.code, 0, "a group by itself shows its help");
  assert.match(group.stdout, /build +build the guest/);
});

Deno.test("words that callers add out of habit are ignored, and not shown in the help", async () => {
  const plain = await typed("env", "--help");
  assert.deepEqual([plain.code, /ignored|<.*>/.exec(plain.stdout)], [0, null]);
  const version = await typed("version", "--", "--verbose", "more");
  assert.deepEqual([version.code, version.stderr], [0, ""]);
});

Deno.test("a failed call is told as a sentence, and a sentence stays as it is", () => {
  const error = (call: () => void) => {
    try {
      call();
    } catch (error) {
      return error;
    }
  };
  const table: [unknown, string, string][] = [
    [
      error(() => Deno.mkdirSync("/proc/no/such")),
      'cannot make the folder "/proc/no/such": no such file or directory',
      "no such file or directory",
    ],
    [
      error(() => Deno.readTextFileSync("/proc/version/x")),
      'cannot read "/proc/version/x": not a directory',
      "not a directory",
    ],
    [
      new Error("No space left on device (os error 28)"),
      "no space left on device",
      "no space left on device",
    ],
    [
      new Error('Get "http://x": Connection refused (os error 111)'),
      'Get "http://x": Connection refused (os error 111)',
      'Get "http://x": Connection refused (os error 111)',
    ],
    [
      new Error("Cannot do it (see above)"),
      "Cannot do it (see above)",
      "Cannot do it (see above)",
    ],
  ];
  for (const [thrown, sentence, short] of table) {
    assert.deepEqual([failure(thrown), why(thrown)], [sentence, short]);
  }
});
