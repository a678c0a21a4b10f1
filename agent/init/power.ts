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
 * Ends the agent after an error that nobody can handle, with one line on the console that says which. Does not return.
 *
 * An agent in an unknown state must not go on serving, and a PID 1 that hangs would keep the machine for ever. Nothing
 * is written back to disks: a share whose server is gone would make that last for ever, too.
 *
 * @param init whether the agent is PID 1, and its end the machine's; otherwise the process ends with exit code 70
 */
export function endWith(error: unknown, init: boolean): never {
  try {
    writeToStdout(formatLogLine("critical", `the agent ends: ${describe(error)}`));
    if (init) reboot("powerOff");
  } finally {
    Deno.exit(EX_SOFTWARE);
  }
}

/** Exit code for an error of the program itself, of sysexits.h. */
const EX_SOFTWARE = 70;

/** Makes every error that nobody handles end the agent: see {@link endWith}. */
export function endOnUncaughtErrors(init: boolean): void {
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    endWith(event.error, init);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    endWith(event.reason, init);
  });
}

/** Message and causes in one line; with the place for errors that only a mistake in the program can make. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isMistake = error instanceof TypeError || error instanceof ReferenceError;
  const place = isMistake &&
    error.stack?.split("\n").find((line) => line.trimStart().startsWith("at "))?.trim();
  const cause = error.cause === undefined ? "" : `: ${describe(error.cause)}`;
  return `${error.message}${cause}${place ? ` (${place})` : ""}`;
}
