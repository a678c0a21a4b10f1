import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime exec`. */
export interface ExecFlags {
  readonly kataDebugPort: number;
}

const HIGHEST_PORT = 0xffff_fffe;

function port(text: string): number {
  if (/^[0-9]{1,10}$/.test(text) && Number(text) <= HIGHEST_PORT) return Number(text);
  throw new Error(`must be a number up to ${HIGHEST_PORT}: it is "${text}"`);
}

/** `kata-runtime exec`: a shell in the guest of a sandbox. */
export const execCommand = buildCommand<ExecFlags, [string], AppContext>({
  parameters: {
    flags: {
      kataDebugPort: {
        kind: "parsed",
        parse: port,
        default: "0",
        brief: "vsock port of the debug console, if the guest is reached by vsock (0 = choose automatically)",
        placeholder: "PORT",
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, brief: "sandbox id, or the beginning of one", placeholder: "SANDBOX" }],
    },
  },
  docs: {
    brief: "open a shell in the guest of a sandbox",
    fullDescription:
      "Needs debug_console_enabled = true in [agent.kata] when the sandbox is created, and a guest with a shell.\n" +
      "On a terminal the exit code is 0; with pipes it is the shell's exit code.\n\n" +
      "Examples:\n" +
      "  kata-runtime guest build --with /usr/bin/busybox --with /usr/bin/busybox:/bin/sh …\n" +
      "  kata-runtime exec web-1\n" +
      "  echo 'cat /proc/meminfo' | kata-runtime exec web-1",
  },
  loader: async () => (await import("./exec.ts")).exec,
});
