import { invalidArgument } from "./errors.ts";

/** Longest line that is told. */
const MAX_TOLD = 100;

const PACKAGE = "package agent_policy";

/** A rule whose answer does not depend on the request. */
const RULE = /^(default\s+)?([A-Za-z_]\w*)\s*:?=\s*(true|false)$/;

/** What newer versions of the language are asked for by; it does not change what such rules mean. */
const IMPORT = /^import\s+(rego\.v1|future\.keywords(\.\w+)?)$/;

/**
 * Reads a policy in the language Rego, as far as its answers do not depend on what is in a request: `default` rules and
 * others with nothing but `true` or `false`. Of two rules with one name the one that is no default counts.
 *
 * @returns the answers by the names of requests
 * @throws {RpcError} `INVALID_ARGUMENT`, with the line that is none of these
 */
export function parsePolicy(text: string): ReadonlyMap<string, boolean> {
  const defaults = new Map<string, boolean>();
  const rules = new Map<string, boolean>();
  let isOpen = false;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") continue;
    if (!isOpen) {
      if (line.replace(/\s+/, " ") !== PACKAGE) throw unknown(line, index, `"${PACKAGE}" before all else`);
      isOpen = true;
      continue;
    }
    if (IMPORT.test(line)) continue;
    const [, isDefault, name = "", answer] = RULE.exec(line) ?? [];
    if (answer === undefined) {
      throw unknown(
        line,
        index,
        'a rule such as "default ExecProcessRequest := false": this agent knows no others',
      );
    }
    const found = isDefault === undefined ? rules : defaults;
    if (found.has(name)) throw unknown(line, index, `the only rule about ${name} of its kind`);
    found.set(name, answer === "true");
  }
  if (!isOpen) throw invalidArgument(`the policy must begin with "${PACKAGE}": it is empty`);
  return new Map([...defaults, ...rules]);
}

function unknown(line: string, index: number, wanted: string): Error {
  const told = JSON.stringify(line.slice(0, MAX_TOLD));
  return invalidArgument(`line ${index + 1} of the policy must be ${wanted}: it is ${told}`);
}
