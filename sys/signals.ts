import type { ExitStatus } from "./process.ts";

/** Signal numbers of Linux by name; the same on x86-64 and arm64. */
export const SIGNALS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

const numbers = new Map<string, number>([
  ...Object.entries(SIGNALS),
  ["SIGIOT", SIGNALS.SIGABRT],
  ["SIGCLD", SIGNALS.SIGCHLD],
  ["SIGPOLL", SIGNALS.SIGIO],
]);
const names = new Map<number, string>(Object.entries(SIGNALS).map(([name, number]) => [number, name]));

/** The first and last real-time signal that programs may use; the C library keeps 32 and 33. */
const RTMIN = 34;
const RTMAX = 64;

function realtime(name: string): number | undefined {
  const match = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (!match) return undefined;
  const offset = Number(match[3] ?? 0) * (match[2] === "-" ? -1 : 1);
  const number = (match[1] === "MIN" ? RTMIN : RTMAX) + offset;
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

/**
 * The number of a signal given as "SIGTERM", "TERM", "sigterm", "15", "SIGRTMIN+3".
 *
 * @throws {RangeError} if there is no such signal
 */
export function signalNumber(text: string): number {
  if (/^\d{1,2}$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= RTMAX) return number;
  } else {
    const upper = text.toUpperCase();
    const name = upper.startsWith("SIG") ? upper : "SIG" + upper;
    const number = numbers.get(name) ?? realtime(name);
    if (number !== undefined) return number;
  }
  throw new RangeError(`unknown signal "${text}"`);
}

/** The name of a signal: "SIGTERM" for 15, "SIGRTMIN+3" for 37, "signal 32" for one without a name. */
export function signalName(signal: number): string {
  const name = names.get(signal);
  if (name) return name;
  if (signal === RTMIN) return "SIGRTMIN";
  if (signal > RTMIN && signal <= RTMAX) return `SIGRTMIN+${signal - RTMIN}`;
  return `signal ${signal}`;
}

/** The exit code as shells and containers count it: 128 + n for a process that signal n ended. */
export function exitCodeOf(status: ExitStatus): number {
  return status.signal === 0 ? status.code : 128 + status.signal;
}
