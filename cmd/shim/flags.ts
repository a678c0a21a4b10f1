/**
 * The shim's command line, in the syntax of Go's flag package.
 *
 * @module
 */

/** What containerd said on the command line. */
export interface ShimFlags {
  readonly namespace: string;
  readonly id: string;
  /** containerd's gRPC socket */
  readonly address: string;
  /** containerd's own program */
  readonly publishBinary: string;
  readonly bundle: string;
  /** serve here instead of on the inherited socket */
  readonly socket: string;
  readonly debugSocket: string;
  readonly debug: boolean;
  readonly version: boolean;
  readonly info: boolean;
  readonly help: boolean;
  /** `start`, `delete`, or "" to serve */
  readonly action: string;
}

type TextFlag = "namespace" | "id" | "address" | "publishBinary" | "bundle" | "socket" | "debugSocket";
type SwitchFlag = "debug" | "version" | "info" | "help";

const TEXT: ReadonlyMap<string, TextFlag> = new Map([
  ["namespace", "namespace"],
  ["id", "id"],
  ["address", "address"],
  ["publish-binary", "publishBinary"],
  ["bundle", "bundle"],
  ["socket", "socket"],
  ["debug-socket", "debugSocket"],
]);

const SWITCH: ReadonlyMap<string, SwitchFlag> = new Map([
  ["debug", "debug"],
  ["v", "version"],
  ["version", "version"],
  ["info", "info"],
  ["h", "help"],
  ["help", "help"],
]);

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** The command line cannot be understood; its message is what Go's package would say. */
export class FlagError extends Error {
  override name = "FlagError";
}

/**
 * Parses up to the first word that is no flag, which is the action. One dash or two, `-flag value` or `-flag=value`,
 * switches without a value.
 *
 * @throws {FlagError}
 */
export function parseFlags(args: readonly string[]): ShimFlags {
  const text: Partial<Record<TextFlag, string>> = {};
  const switches: Partial<Record<SwitchFlag, boolean>> = {};
  let at = 0;
  for (; at < args.length; at++) {
    const word = args[at] ?? "";
    if (!/^--?[^-]/.test(word) && word !== "--") break;
    if (word === "--") {
      at++;
      break;
    }
    const { name, value } = split(word);
    const onOff = SWITCH.get(name);
    const key = TEXT.get(name);
    if (onOff !== undefined) switches[onOff] = parseBoolean(name, value ?? "true");
    else if (key === undefined) throw new FlagError(`flag provided but not defined: -${name}`);
    else if (value !== undefined) text[key] = value;
    else if (at + 1 < args.length) text[key] = args[++at];
    else throw new FlagError(`flag needs an argument: -${name}`);
  }
  return {
    namespace: text.namespace ?? "",
    id: text.id ?? "",
    address: text.address ?? "",
    publishBinary: text.publishBinary ?? "",
    bundle: text.bundle ?? "",
    socket: text.socket ?? "",
    debugSocket: text.debugSocket ?? "",
    debug: switches.debug ?? false,
    version: switches.version ?? false,
    info: switches.info ?? false,
    help: switches.help ?? false,
    action: args[at] ?? "",
  };
}

function split(word: string): { name: string; value: string | undefined } {
  const body = word.replace(/^--?/, "");
  const at = body.indexOf("=");
  return at < 0 ? { name: body, value: undefined } : { name: body.slice(0, at), value: body.slice(at + 1) };
}

function parseBoolean(name: string, value: string): boolean {
  if (TRUE.has(value)) return true;
  if (FALSE.has(value)) return false;
  throw new FlagError(`invalid boolean value "${value}" for -${name}: parse error`);
}
