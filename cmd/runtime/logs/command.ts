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
      follow: { kind: "boolean", brief: "go on until the sandbox ends", default: false },
      tail: { kind: "parsed", parse: count, optional: true, brief: "the last lines only", placeholder: "N" },
      agentLevel: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "have the agent log this from now on: trace, debug, info, warn, error or critical",
        placeholder: "LEVEL",
      },
    },
    aliases: { f: "follow" },
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, brief: "id of a sandbox, or its beginning", placeholder: "SANDBOX" }],
    },
  },
  docs: {
    brief: "print what a sandbox, its helpers, its agent and its kernel have reported",
    fullDescription:
      "The log is bounded: the oldest lines are dropped. It goes with the sandbox; containerd's log has what was\n" +
      "reported to it.\n\n" +
      "Examples:\n" +
      "  kata-runtime logs web-1 | grep source=agent\n" +
      "  kata-runtime logs --follow --agent-level debug web-1",
  },
  loader: async () => (await import("./logs.ts")).logs,
});
