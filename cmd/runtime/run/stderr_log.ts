import type { Log, LogLevel } from "../../../sandbox/log/log.ts";

const QUIET: readonly LogLevel[] = ["warning", "error"];

/** Lines on standard error: warnings and errors, and with `debug` everything with its fields. */
export function stderrLog(debug: boolean): Log {
  const encoder = new TextEncoder();
  return {
    write(level, message, fields = {}) {
      if (!debug && !QUIET.includes(level)) return;
      const shown = debug ? Object.entries(fields).filter(([, value]) => value !== undefined) : [];
      const tail = shown.map(([name, value]) => ` ${name}=${value}`).join("");
      const label = debug ? `${level}: ` : "";
      try {
        Deno.stderr.writeSync(encoder.encode(`kata-runtime: ${label}${message}${tail}\n`));
      } catch {
        // a closed standard error is not a failure
      }
    },
  };
}
