import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** `kata-runtime metrics`: what a sandbox measures of itself. */
export const metricsCommand = buildCommand<Record<never, never>, [string], AppContext>({
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ parse: String, brief: "sandbox id, or the beginning of one", placeholder: "SANDBOX" }],
    },
  },
  docs: {
    brief: "print the metrics of a sandbox, in Prometheus' text format",
    fullDescription:
      "Example:\n  kata-runtime metrics $(kata-runtime list -q | head -1) | grep kata_guest_load",
  },
  loader: async () => (await import("./metrics.ts")).metrics,
});
