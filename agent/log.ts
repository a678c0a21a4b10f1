/**
 * The agent's log: one line per message on its standard output, which is the guest's console.
 *
 * A line begins with `kata-agent`, so that it can be told from what the kernel writes to the same console, and is
 * plain text, so that the last lines of a dead guest are readable for people.
 */

/** Severities, least severe first. */
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "critical"] as const;

/** How severe a message is. */
export type LogLevel = typeof LOG_LEVELS[number];

/** Values that go with a message. */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** Takes messages. */
export interface Logger {
  /** Whether messages of this level are written: asked before costly fields are computed. */
  enabled(level: LogLevel): boolean;
  log(level: LogLevel, message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const ALIASES: Readonly<Record<string, LogLevel>> = { warning: "warn", fatal: "critical", panic: "critical" };

/** Reads a level by its name (`warning`, `fatal`, `panic` are aliases). */
export function parseLogLevel(text: string, where: string): LogLevel {
  const level = LOG_LEVELS.find((name) => name === text) ?? ALIASES[text];
  if (level) return level;
  throw new Error(`${where} must be one of ${LOG_LEVELS.join(", ")}: it is "${text}"`);
}

/**
 * One line of the log, without its end.
 *
 * Control characters are escaped: a message may carry what a container or a peer wrote.
 */
export function formatLogLine(level: LogLevel, message: string, fields: LogFields = {}): string {
  let line = `kata-agent ${level}: ${escape(message)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    line += ` ${key}=${typeof value === "string" ? JSON.stringify(value) : value}`;
  }
  return line;
}

/** A logger whose threshold can be changed while others write to it. */
export interface AdjustableLogger extends Logger {
  setLevel(least: LogLevel): void;
}

/** A logger that writes lines of at least `least` severity. */
export function createLogger(
  least: LogLevel,
  write: (line: string) => void = writeToStdout,
): AdjustableLogger {
  let threshold = LOG_LEVELS.indexOf(least);
  const enabled = (level: LogLevel) => LOG_LEVELS.indexOf(level) >= threshold;
  const log = (level: LogLevel, message: string, fields?: LogFields) => {
    if (enabled(level)) write(formatLogLine(level, message, fields));
  };
  return {
    setLevel: (level) => void (threshold = LOG_LEVELS.indexOf(level)),
    enabled,
    log,
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
  };
}

/** Control characters as escapes. Without a regular expression: a program's first one costs a boot 30 ms. */
function escape(text: string): string {
  let escaped = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    escaped += isControl ? "\\u" + code.toString(16).padStart(4, "0") : character;
  }
  return escaped;
}

const encoder = new TextEncoder();

/** Writes a line at once; a console that cannot be written to must not end the agent. */
export function writeToStdout(line: string): void {
  const bytes = encoder.encode(line + "\n");
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
  } catch {
    // There is nowhere to report this.
  }
}
