import { buildApplication, buildRouteMap, run, text_en } from "@stricli/core";
import { guestRoutes } from "./guest/command.ts";
import { runCommand } from "./run/command.ts";
import { versionCommand } from "./version_command.ts";

/** What a command gets beside its flags: the streams it writes to, and where it leaves its exit code. */
export interface AppContext {
  readonly process: {
    readonly stdout: { write(text: string): void };
    readonly stderr: { write(text: string): void };
    exitCode?: number | string | null;
  };
}

const routes = buildRouteMap<string, AppContext>({
  routes: { run: runCommand, guest: guestRoutes, version: versionCommand },
  docs: {
    brief: "containers with a kernel of their own",
    fullDescription: "Examples:\n" +
      "  kata-runtime run --rootfs ./rootfs -- uname -r\n" +
      "  kata-runtime run --tty --rootfs ./rootfs -- sh\n" +
      "  kata-runtime guest build --kernel /boot/vmlinuz --modules /lib/modules/$(uname -r) --out ./guest",
  },
});

const application = buildApplication(routes, {
  name: "kata-runtime",
  scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
  documentation: { disableAnsiColor: true },
  localization: {
    text: {
      ...text_en,
      // An error is a sentence for its reader; the stack is of no use to them.
      exceptionWhileRunningCommand: (error) => sentence(error),
      exceptionWhileLoadingCommandFunction: (error) => sentence(error),
    },
  },
});

/**
 * Runs the `kata-runtime` command line.
 *
 * @returns the exit code: the command's own, or 1 after a mistake in the arguments or a failure
 */
export async function runApp(args: readonly string[]): Promise<number> {
  const encoder = new TextEncoder();
  const context: AppContext = {
    process: {
      stdout: { write: (text) => void Deno.stdout.writeSync(encoder.encode(text)) },
      stderr: { write: (text) => void Deno.stderr.writeSync(encoder.encode(text)) },
      exitCode: undefined,
    },
  };
  await run(application, args, context);
  const code = Number(context.process.exitCode ?? 0);
  return code === 0 ? 0 : code < 0 ? 1 : code;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
