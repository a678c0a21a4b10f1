import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime logs`. */
export interface LogsFlags {
  readonly follow: boolean;
  readonly tail?: number;
  readonly agentLevel?: string;
}

function count(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new Error(`must be a number of lines: it is "${text}"`);
}

/** `kata-runtime logs`: what a sandbox has reported. */
export const logsCommand = buildCommand<LogsFlags, [string], AppContext>({
  parameters: {
    flags: {
      follow: { kind: "boolean", brief: "keep printing new lines until the sandbox ends", default: false },
      tail: {
        kind: "parsed",
        parse: count,
        optional: true,
        brief: "print only the last N lines",
        placeholder: "N",
      },
      agentLevel: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "set the agent's log level: trace, debug, info, warn, error or critical",
        placeholder: "LEVEL",
      },
    },
    aliases: { f: "follow" },
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, brief: "sandbox id, or the beginning of one", placeholder: "SANDBOX" }],
    },
  },
  docs: {
    brief: "print the log of a sandbox: runtime, helper processes, agent and guest kernel",
    fullDescription:
      "The log has a limited size: the oldest lines are dropped. It is removed with the sandbox; containerd's own\n" +
      "log keeps what was reported to it.\n\n" +
      "Examples:\n" +
      "  kata-runtime logs web-1 | grep source=agent\n" +
      "  kata-runtime logs --follow --agent-level debug web-1",
  },
  loader: async () => (await import("./logs.ts")).logs,
});
