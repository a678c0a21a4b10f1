/**
 * Lines of a log, as `kata-runtime` and `kata-monitor` write them: `time="…" level=info msg="…" key=value …`.
 *
 * @module
 */

/** How much a line matters. */
export type Level = "debug" | "info" | "warning" | "error" | "fatal";

/** One event. */
export interface Event {
  readonly time: Date;
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** What every line of the command line has besides its own fields. @param command undefined: the line has none */
export function commonFields(command?: string): Record<string, string | number> {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  const fields = { arch, name: "kata-runtime", pid: Deno.pid, source: "runtime" };
  return command === undefined ? fields : { ...fields, command };
}

/** The line of a file or pipe, with its line end. */
export function textLine({ time, level, message, fields }: Event): string {
  const head = [`time="${rfc3339(time)}"`, `level=${level}`];
  if (message !== "") head.push(`msg=${quoted(message)}`);
  return `${[...head, ...pairs(fields)].join(" ")}\n`;
}

/** The same as a JSON object with its keys sorted. */
export function jsonLine({ time, level, message, fields }: Event): string {
  const all: Record<string, unknown> = { ...fields, level, msg: message, time: rfc3339(time) };
  return `${JSON.stringify(Object.fromEntries(Object.keys(all).sort().map((key) => [key, all[key]])))}\n`;
}

/** Four letters each. */
const SHORT: Readonly<Record<Level, string>> = {
  debug: "DEBU",
  info: "INFO",
  warning: "WARN",
  error: "ERRO",
  fatal: "FATA",
};

/** Width of the message on a terminal. */
const MESSAGE_COLUMNS = 44;

/** The line of a terminal. @param seconds since the program was started */
export function terminalLine({ level, message, fields }: Event, seconds: number): string {
  const since = String(Math.floor(seconds)).padStart(4, "0");
  return `${
    [`${SHORT[level]}[${since}] ${message.padEnd(MESSAGE_COLUMNS)}`, ...pairs(fields)].join(" ").trimEnd()
  }\n`;
}

function pairs(fields: Event["fields"]): string[] {
  return Object.keys(fields).sort().map((key) => `${key}=${quoted(String(fields[key]))}`);
}

/** In quotes unless it has only what never needs them. */
function quoted(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : JSON.stringify(text);
}

/** Whole seconds, in the offset of this machine. */
export function rfc3339(time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${String(time.getFullYear()).padStart(4, "0")}-${two(time.getMonth() + 1)}-${
    two(time.getDate())
  }`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const offset = -time.getTimezoneOffset();
  if (offset === 0) return `${date}T${clock}Z`;
  const minutes = Math.abs(offset);
  return `${date}T${clock}${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
