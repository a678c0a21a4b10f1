/**
 * The agent's options: from the guest kernel's command line, the arguments, the environment.
 *
 * Only keys that begin with `agent.` are looked at; unknown ones are ignored, since the same line carries the
 * parameters of newer and older agents. A known key with a value that makes no sense stops the agent: a guest
 * that does something else than asked is worse than one that says why it did not start.
 */

import { parseServerAddress, type ServerAddress } from "./server_address.ts";
import { type LogLevel, parseLogLevel } from "./log.ts";

/** Everything that can be chosen about an agent. */
export interface AgentOptions {
  /** Least severe messages that are written (`agent.log`, default `info`). */
  readonly logLevel: LogLevel;
  /** Where the API is served (`agent.server_addr`, default `vsock://-1:1024`). */
  readonly serverAddress: ServerAddress;
  /** Capacity of the pipes of a process's standard streams in bytes (`agent.container_pipe_size`); 0 = kernel's. */
  readonly containerPipeSize: number;
  /** How long a device may take to appear, in milliseconds (`agent.hotplug_timeout`, in seconds, default 3). */
  readonly hotplugTimeoutMs: number;
  /** Whether operators of the host may have a shell here (`agent.debug_console`, `agent.devmode`; default: no). */
  readonly debugConsole: boolean;
  /** Vsock port of such shells (`agent.debug_console_vport`); 0 = only those that the API is asked for. */
  readonly debugConsolePort: number;
  /** Folder of everything the agent makes (default `/run/kata-containers`). */
  readonly runDir: string;
  /** Folder of the cgroup that those of containers are made in (default `/sys/fs/cgroup`). */
  readonly cgroupRoot: string;
}

/** What holds when nothing is said. */
export const DEFAULT_OPTIONS: AgentOptions = {
  logLevel: "info",
  serverAddress: { kind: "vsock", cid: 0xffff_ffff, port: 1024 },
  containerPipeSize: 0,
  hotplugTimeoutMs: 3000,
  debugConsole: false,
  debugConsolePort: 0,
  runDir: "/run/kata-containers",
  cgroupRoot: "/sys/fs/cgroup",
};

/** Parameters without a value, each of which switches shells for operators on. */
const CONSOLE_WORDS: readonly string[] = ["agent.debug_console", "agent.devmode"];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Beginning of the agent's parameters among the kernel's. */
const PREFIX = "agent.";

/** Sets one option from its text; throws a sentence when the text makes no sense. */
type Setter = (options: Mutable<AgentOptions>, value: string, where: string) => void;

const SETTERS: Readonly<Record<string, Setter>> = {
  log: (options, value, where) => options.logLevel = parseLogLevel(value, where),
  server_addr: (options, value, where) => options.serverAddress = parseServerAddress(value, where),
  container_pipe_size: (options, value, where) => options.containerPipeSize = parseNatural(value, where),
  debug_console_vport: (options, value, where) => options.debugConsolePort = parseNatural(value, where),
  hotplug_timeout: (options, value, where) => {
    const seconds = parseNatural(value, where);
    // Zero is "not given": a wait of no time at all can never succeed.
    if (seconds > 0) options.hotplugTimeoutMs = seconds * 1000;
  },
};

/**
 * Options of the guest kernel's command line.
 *
 * @param text content of `/proc/cmdline`
 * @throws {Error} a sentence that names the parameter and its value
 */
export function parseKernelCommandLine(text: string, base: AgentOptions = DEFAULT_OPTIONS): AgentOptions {
  const options: Mutable<AgentOptions> = { ...base };
  // Without regular expressions: a program's first one costs a boot 30 ms.
  for (const word of text.trim().split(" ")) {
    const equals = word.indexOf("=");
    if (!word.startsWith(PREFIX)) continue;
    if (CONSOLE_WORDS.includes(word)) options.debugConsole = true;
    if (equals < 0) continue;
    const key = word.slice(PREFIX.length, equals);
    const value = word.slice(equals + 1);
    if (Object.hasOwn(SETTERS, key)) SETTERS[key]?.(options, value, `kernel parameter "${PREFIX}${key}"`);
  }
  return options;
}

/**
 * Options of the command line `kata-agent [--server-addr A] [--log L] [--run-dir D] [--cgroup-root D] …`.
 *
 * @throws {Error} a sentence that names the argument
 */
export function parseArguments(args: readonly string[], base: AgentOptions): AgentOptions {
  const options: Mutable<AgentOptions> = { ...base };
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] ?? "";
    const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(argument);
    const key = match?.[1]?.replaceAll("-", "_") ?? "";
    const known = Object.hasOwn(FOLDERS, key) || Object.hasOwn(SETTERS, key);
    if (!known) throw new Error(`unknown argument "${argument}" of the agent`);
    const value = match?.[2] ?? args[++i];
    if (value === undefined) throw new Error(`argument "${argument}" of the agent needs a value`);
    const folder = FOLDERS[key];
    if (folder) options[folder] = parseFolder(value, argument);
    else SETTERS[key]?.(options, value, `argument "--${match?.[1]}"`);
  }
  return options;
}

/** Environment variables that win over the kernel's command line. */
export function applyEnvironment(
  get: (name: string) => string | undefined,
  base: AgentOptions,
): AgentOptions {
  const options: Mutable<AgentOptions> = { ...base };
  for (
    const [name, key] of [["KATA_AGENT_SERVER_ADDR", "server_addr"], ["KATA_AGENT_LOG_LEVEL", "log"]] as const
  ) {
    const value = get(name);
    if (value) SETTERS[key]?.(options, value, `environment variable "${name}"`);
  }
  return options;
}

function parseNatural(value: string, where: string): number {
  if (!/^[0-9]{1,9}$/.test(value)) {
    throw new Error(`${where} must be a number of at most nine digits: it is "${value}"`);
  }
  return Number(value);
}

/** Options that only arguments can set. */
const FOLDERS: Readonly<Record<string, "runDir" | "cgroupRoot">> = {
  run_dir: "runDir",
  cgroup_root: "cgroupRoot",
};

function parseFolder(value: string, where: string): string {
  if (!/^\/[^/]/.test(value) || value.split("/").some((part) => part === ".." || part === ".")) {
    throw new Error(`argument "${where}" must be an absolute path without "." and "..": it is "${value}"`);
  }
  return value.replace(/\/+$/, "");
}
