import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime explain`, parsed. */
export interface ExplainFlags {
  readonly process?: string;
  readonly guest: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** `kata-runtime explain`: what the agent would do for a bundle, without doing it. */
export const explainCommand = buildCommand<ExplainFlags, [string], AppContext>({
  parameters: {
    flags: {
      process: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "explain this process (process.json), executed in the container, instead of its first one",
        placeholder: "FILE",
      },
      guest: {
        kind: "boolean",
        brief: "what a guest is told of the bundle: paths of its own, nothing that is about the host",
        default: false,
      },
      json: { kind: "boolean", brief: "print JSON", default: false },
      verbose: { kind: "boolean", brief: "list filters, too, an instruction a line", default: false },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, brief: "OCI bundle: a folder with config.json", placeholder: "BUNDLE" }],
    },
  },
  docs: {
    brief: "print what would be done for a bundle, system call by system call, without doing it",
    fullDescription:
      "Needs no privileges, no guest and no KVM. Without --guest the specification is taken as it\n" +
      "is, as by an OCI runtime on this machine.\n\n" +
      "Examples:\n" +
      "  kata-runtime explain ./bundle\n" +
      "  kata-runtime explain --guest ./bundle\n" +
      "  kata-runtime explain --json ./bundle | jq -r '.steps[] | select(.call == \"mount\").text'\n" +
      "  kata-runtime explain --process process.json ./bundle",
  },
  loader: async () => (await import("./explain.ts")).explain,
});
