import { reboot, sync } from "../../sys/host.ts";
import { formatLogLine, writeToStdout } from "../log.ts";

/** Writes what is unwritten and switches the machine off. Does not return. */
export function powerOff(): never {
  sync();
  reboot("powerOff");
  // A machine without a power switch halts the calling thread only: end the process, and the kernel panics.
  Deno.exit(0);
}

/**
 * Makes every error that nobody handles end the guest, with one line on the console that says which.
 *
 * An agent in an unknown state must not go on serving, and a PID 1 that hangs would keep the machine for ever. Nothing
 * is written back to disks: a share whose server is gone would make that last for ever too.
 *
 * @param init whether the agent is PID 1; otherwise only the process ends, with exit code 70
 */
export function endOnUncaughtErrors(init: boolean): void {
  const end = (error: unknown) => {
    try {
      writeToStdout(formatLogLine("critical", `the agent ends: ${describe(error)}`));
      if (init) reboot("powerOff");
    } finally {
      Deno.exit(70);
    }
  };
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    end(event.error);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    end(event.reason);
  });
}

/** Message, causes and the innermost place, in one line. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const place = error.stack?.split("\n").find((line) => /^\s+at /.test(line))?.trim();
  const cause = error.cause === undefined ? "" : `: ${describe(error.cause)}`;
  return `${error.message}${cause}${place ? ` (${place})` : ""}`;
}
