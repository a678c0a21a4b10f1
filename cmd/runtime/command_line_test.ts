import assert from "node:assert/strict";
import { type AppContext, runIn } from "./app.ts";
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

Deno.test("mistakes in a command's arguments are one sentence on standard error, and exit code 1", async () => {
  const table: [string[], string][] = [
    [["gest"], 'Invalid command "gest": did you mean "guest"?'],
    [["zebra"], 'Invalid command "zebra"'],
    [[""], 'Invalid command ""'],
    [["completion", "tcsh"], 'Invalid command "tcsh"'],
    [["run", "--zebra"], "flag provided but not defined: -zebra"],
    [["guest", "buidl"], 'Invalid command "buidl": did you mean "build"?'],
    [["run", "--rotfs", "x"], "flag provided but not defined: -rotfs: did you mean --rootfs?"],
    [["run", "-Q"], "flag provided but not defined: -Q"],
    [["run", "--rootfs"], "flag needs an argument: -rootfs"],
    [["run", "-rootfs", "a", "--rootfs", "b"], 'flag -rootfs is given twice: "a" and "b"'],
    [["run", "--tty=maybe"], 'invalid value "maybe" for flag -tty: must be true or false'],
    [["run", "--memory", "lots"], 'memory must be a size such as 512M or 2G: it is "lots"'],
    [["guest", "build", "--kernel=k", "--out=o"], 'Required flag "modules" not set'],
    [
      ["guest", "build", "--kernel=k", "--out=o", "--modules=m", "x"],
      'unexpected argument "x": the command takes none',
    ],
  ];
  for (const [args, message] of table) {
    assert.deepEqual(await typed(...args), { code: 1, stdout: "", stderr: `${message}\n` }, args.join(" "));
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
