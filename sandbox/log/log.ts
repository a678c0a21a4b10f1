/**
 * What the sandbox reports while it works; the front end decides where it goes.
 *
 * @module
 */

/** How much a line matters. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** Named values that go with a line. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Takes lines; never throws, never blocks. */
export interface Log {
  write(level: LogLevel, message: string, fields?: LogFields): void;
}

/** A log that discards everything. */
export const silentLog: Log = { write: () => {} };

/** The same log with fields added to every line. */
export function withFields(log: Log, fields: LogFields): Log {
  return { write: (level, message, own) => log.write(level, message, { ...fields, ...own }) };
}

/** What was thrown, in one line; `await using` hides the first failure behind the clean-up's, both are shown. */
export function reason(thrown: unknown): string {
  if (thrown instanceof SuppressedError) {
    return `${reason(thrown.suppressed)} (and then: ${reason(thrown.error)})`;
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}
