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
        brief: "explain an exec of this process (process.json) instead of the container's init process",
        placeholder: "FILE",
      },
      guest: {
        kind: "boolean",
        brief: "explain the specification as the guest gets it: guest paths, nothing specific to the host",
        default: false,
      },
      json: { kind: "boolean", brief: "print JSON", default: false },
      verbose: {
        kind: "boolean",
        brief: "also list the seccomp and device filters, one instruction per line",
        default: false,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, brief: "OCI bundle: a folder with config.json", placeholder: "BUNDLE" }],
    },
  },
  docs: {
    brief: "print the system calls that would create a bundle's container, without running them",
    fullDescription:
      "Needs no privileges, no guest and no KVM. Without --guest the specification is used as it\n" +
      "is, as an OCI runtime on this machine would.\n\n" +
      "Examples:\n" +
      "  kata-runtime explain ./bundle\n" +
      "  kata-runtime explain --guest ./bundle\n" +
      "  kata-runtime explain --json ./bundle | jq -r '.steps[] | select(.call == \"mount\").text'\n" +
      "  kata-runtime explain --process process.json ./bundle",
  },
  loader: async () => (await import("./explain.ts")).explain,
});
