import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime list`. */
export interface ListFlags {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** `kata-runtime list`: the sandboxes of this host. */
export const listCommand = buildCommand<ListFlags, [], AppContext>({
  parameters: {
    flags: {
      json: { kind: "boolean", brief: "print JSON, with the containers of each sandbox", default: false },
      quiet: { kind: "boolean", brief: "print ids only", default: false },
    },
    aliases: { q: "quiet" },
  },
  docs: {
    brief: "list the sandboxes of this host: age, process, memory, containers",
    fullDescription: "Examples:\n" +
      "  kata-runtime list\n" +
      "  kata-runtime list --json | jq -r '.[] | select(.memory > 1e9).id'",
  },
  loader: async () => (await import("./list.ts")).list,
});
