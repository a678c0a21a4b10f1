/** Whatever is typed, the answer is a result or a sentence. */

import assert from "node:assert/strict";
import { type AppContext, runIn, type Target, targetOf } from "../../cmd/runtime/app.ts";
import { propose } from "../../cmd/runtime/completion/propose.ts";
import { DEFAULT_GLOBALS, GLOBAL_OPTIONS, readCommandLine, UsageError } from "../../cmd/runtime/globals.ts";
import { Random } from "./random.ts";

const LINES = 100_000;
/** Completion is asked for one line in so many. */
const COMPLETED = 20;
const SEED = Number(Deno.env.get("KATA_FUZZ_SEED") ?? 20_261);

/** Every command with the words that lead to it. Commands are only told apart from groups by what they can. */
function commandsBelow(target: Target, words: string[] = []): { words: string[]; command: Target }[] {
  if (!("getAllEntries" in target)) return [{ words, command: target }];
  return target.getAllEntries().flatMap(({ name, target: next }) =>
    commandsBelow(next, [...words, name["convert-camel-to-kebab"]])
  );
}

/** Takes the deeds from all commands: what is left is how their arguments are read. */
function withoutDeeds(commands: readonly { command: Target }[]): void {
  for (const { command } of commands) {
    Object.assign(command, { loader: () => Promise.resolve(() => {}) });
  }
}

const VALUES = [
  ...["", " ", "-", "--", "---", "=", "--=", "-=x", "true", "false", "yes", "0", "-1", "1e9", "0x10", "NaN"],
  ...["Infinity", "999999999999999999999", "1.5", "512M", "type=bind,src=/,dst=/x", "type=,=,,", "A=B", "A"],
  ..."/ . .. ../../etc/passwd /etc/passwd /nonexistent \0 a\0b \n a\nb ä 容器 \u{1f431} \ud800 %s $(id) ;ls"
    .split(" "),
  "x".repeat(5000),
  "-".repeat(300),
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
];

/** Words that mean something somewhere. */
function vocabulary(commands: readonly { words: string[]; command: Target }[]): string[] {
  const flags = commands.flatMap(({ command }) =>
    "parameters" in command ? Object.keys(command.parameters.flags ?? {}) : []
  );
  const kebab = flags.map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
  const names = [...flags, ...kebab, ...GLOBAL_OPTIONS.flatMap((option) => option.names), "help", "no-tty"];
  return [
    ...commands.flatMap(({ words }) => words),
    ...["help", "h", "-h", "-H", "-v", "-n", "-s", "-vns", "--generate-bash-completion"],
    ...names.flatMap((name) => [`--${name}`, `-${name}`]),
  ];
}

/** A word with letters left out, doubled, swapped or replaced. */
function misspelt(random: Random, word: string): string {
  const letters = [...word];
  for (let slips = 1 + random.below(3); slips > 0; slips--) {
    const at = random.below(letters.length + 1);
    const [letter = ""] = letters.slice(at, at + 1);
    switch (random.below(4)) {
      case 0:
        letters.splice(at, 1);
        break;
      case 1:
        letters.splice(at, 0, letter);
        break;
      case 2:
        letters.splice(at, 1, String.fromCharCode(random.below(0x250)));
        break;
      default:
        letters.splice(at, 2, ...letters.slice(at, at + 2).reverse());
    }
  }
  return letters.join("");
}

function randomWord(random: Random, words: readonly string[]): string {
  const word = random.pick(words);
  switch (random.below(8)) {
    case 0:
      return misspelt(random, word);
    case 1:
      return `${word}=${random.pick(VALUES)}`;
    case 2:
      return random.pick(VALUES);
    case 3:
      return Array.from({ length: random.below(12) }, () => String.fromCharCode(random.below(0x10000))).join(
        "",
      );
    default:
      return word;
  }
}

/** A line: often a command to begin with, then anything. */
function randomLine(
  random: Random,
  commands: readonly { words: string[] }[],
  words: readonly string[],
): string[] {
  const start = random.once(4) ? [] : random.pick(commands).words;
  const length = random.once(50) ? 40 : random.below(7);
  return [...start, ...Array.from({ length }, () => randomWord(random, words))];
}

function readCommandLineOrNothing(line: readonly string[]): { rest: readonly string[] } {
  try {
    return readCommandLine(line);
  } catch {
    return { rest: [] };
  }
}

/** Reads a line as the program does. */
async function typed(line: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const process: AppContext["process"] = {
    stdout: { write: (text) => void (written.stdout += text) },
    stderr: { write: (text) => void (written.stderr += text) },
  };
  try {
    const { question, rest } = readCommandLine(line);
    const args = question === "help" ? [...rest, "--help"] : rest;
    return { code: await runIn({ process, globals: DEFAULT_GLOBALS }, args), ...written };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { code: 1, stdout: "", stderr: `${error.message}\n` };
  }
}

/** What is left where a program fell over instead of answering. */
const WRECKAGE =
  /\bat (async )?\S+ \(|\bat file:|TypeError|RangeError|SyntaxError|\[object |undefined\b(?!")/;

Deno.test(`${LINES} random lines are answered by a result, or by sentences and an exit code`, async () => {
  const root = targetOf([]);
  assert.ok(root !== undefined);
  const commands = commandsBelow(root);
  assert.ok(commands.length >= 6, "the commands are found");
  withoutDeeds(commands);
  const words = vocabulary(commands);
  const random = new Random(SEED);
  const codes = new Map<number, number>();
  for (let count = 0; count < LINES; count++) {
    const line = randomLine(random, commands, words);
    const shown = () => `seed ${SEED}, line ${count}: ${JSON.stringify(line).slice(0, 2000)}`;
    const { code, stdout, stderr } = await typed(line).catch((error) =>
      assert.fail(`${shown()}: ${error.stack}`)
    );
    codes.set(code, (codes.get(code) ?? 0) + 1);
    if (code === 0) {
      assert.equal(stderr, "", shown());
    } else {
      const { rest } = readCommandLineOrNothing(line);
      assert.equal(code, rest[0] === "run" ? 125 : 1, shown());
      assert.ok(stderr.trim() !== "" && stdout === "", shown());
      const own = line.reduce((text, word) => word === "" ? text : text.replaceAll(word, "…"), stderr);
      assert.doesNotMatch(own, WRECKAGE, `${shown()}: ${stderr}`);
    }
    if (count % COMPLETED === 0) {
      const proposals = await propose(line).catch((error) => assert.fail(`${shown()}: ${error.stack}`));
      assert.ok(Array.isArray(proposals.words), shown());
    }
  }
  const share = (code: number) => (codes.get(code) ?? 0) / LINES;
  assert.ok(
    share(0) > 0.05 && share(1) + share(125) > 0.2,
    `the lines are neither all right nor all wrong: ${[...codes]}`,
  );
});
