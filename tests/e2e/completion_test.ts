/** Each shell completes what is typed, with the script that is printed for it. */

import assert from "node:assert/strict";
import { DIST } from "../../tools/paths.ts";

/** A folder with the program under its name, and the shell's script in it. */
async function prepared(shell: string): Promise<AsyncDisposable & { folder: string; path: string }> {
  const folder = await Deno.makeTempDir({ prefix: "kata-completion-" });
  await Deno.symlink(`${DIST}/kata`, `${folder}/kata-runtime`);
  const { stdout, success } = await new Deno.Command(`${folder}/kata-runtime`, {
    args: ["completion", shell],
  }).output();
  assert.ok(success);
  await Deno.writeFile(`${folder}/script`, stdout);
  await Deno.writeTextFile(`${folder}/kernel-image`, "");
  await Deno.mkdir(`${folder}/kernel-modules`);
  return {
    folder,
    path: `${folder}:${Deno.env.get("PATH")}`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Runs a shell with something typed, on a terminal if `keys` are given. @returns all that it wrote */
async function driven(argv: string[], folder: string, path: string, keys?: string): Promise<string> {
  const line = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const [program = "", ...args] = keys === undefined
    ? argv
    : ["script", "--quiet", "--command", line, "/dev/null"];
  const child = new Deno.Command(program, {
    args,
    cwd: folder,
    env: { PATH: path, HOME: folder, TERM: "dumb", PS1: "$ ", ZDOTDIR: folder },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(keys ?? ""));
  await writer.close();
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** What is typed up to a tab, and what it becomes. */
const LINES: [typed: string, completed: string][] = [
  ["kata-runtime chec", "kata-runtime check"],
  ["kata-runtime guest bui", "kata-runtime guest build"],
  ["kata-runtime run --host", "kata-runtime run --hostname"],
  ["kata-runtime --log-format js", "kata-runtime --log-format json"],
  ["kata-runtime --config ./c env --js", "kata-runtime --config ./c env --json"],
  ["kata-runtime help unins", "kata-runtime help uninstall"],
  ["kata-runtime guest build --kernel kernel-i", "kata-runtime guest build --kernel kernel-image"],
  ["kata-runtime guest build --modules kernel-", "kata-runtime guest build --modules kernel-modules/"],
];

/** Whether a terminal's output has a line, whatever moves of the cursor are in it. */
function shows(output: string, line: string): boolean {
  // deno-lint-ignore no-control-regex -- the terminal's control sequences are looked for
  return output.replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\r\x07]/g, "").includes(line);
}

Deno.test("bash completes commands, options, their values, files and folders on a terminal", async () => {
  await using shell = await prepared("bash");
  const { folder, path } = shell;
  // "#" makes a comment of the completed line, so that it is not run
  const keys = LINES.map(([typed]) => `${typed}\t\x01#\n`).join("");
  const output = await driven(
    ["bash", "--noprofile", "--norc", "-i"],
    folder,
    path,
    `source ./script\n${keys}exit\n`,
  );
  for (const [, completed] of LINES) assert.ok(shows(output, completed), `${completed}\n${output}`);
});

Deno.test("zsh completes the same, sourced or from its folder of functions", async () => {
  await using shell = await prepared("zsh");
  const { folder, path } = shell;
  await Deno.mkdir(`${folder}/functions`);
  await Deno.copyFile(`${folder}/script`, `${folder}/functions/_kata-runtime`);
  const setUps = [
    "autoload -Uz compinit && compinit -u -D; source ./script",
    "fpath=(./functions $fpath); autoload -Uz compinit && compinit -u -D",
  ];
  for (const setUp of setUps) {
    await Deno.writeTextFile(
      `${folder}/.zshrc`,
      `unsetopt beep zle_bracketed_paste; setopt interactive_comments\n${setUp}\n`,
    );
    const keys = LINES.map(([typed]) => `${typed}\t\x01#\n`).join("");
    const output = await driven(["zsh", "-i"], folder, path, `${keys}exit\n`);
    for (const [, completed] of LINES) assert.ok(shows(output, completed), `${completed}\n${output}`);
  }
});

Deno.test("fish offers the same words, with what they are", async () => {
  await using shell = await prepared("fish");
  const { folder, path } = shell;
  for (const [typed, completed] of LINES) {
    const output = await driven(
      ["fish", "-N", "-c", `source ./script; complete -C '${typed}'`],
      folder,
      path,
    );
    const last = completed.split(" ").at(-1) ?? "";
    assert.ok(output.split("\n").some((line) => line.split("\t")[0] === last), `${typed}\n${output}`);
  }
  const described = await driven(
    ["fish", "-N", "-c", "source ./script; complete -C 'kata-runtime e'"],
    folder,
    path,
  );
  assert.match(described, /^env\tprint the runtime's settings/m);
});

Deno.test("scripts of other programs get the words one a line", async () => {
  const words = async (...args: string[]) => {
    const command = new Deno.Command(`${DIST}/kata`, { args: [...args, "--generate-bash-completion"] });
    return new TextDecoder().decode((await command.output()).stdout).trimEnd().split("\n");
  };
  const all = await words();
  for (const name of ["check", "env", "install", "completion", "help"]) assert.ok(all.includes(name), name);
  assert.deepEqual(await words("completion"), ["bash", "zsh", "fish"]);
});
