import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";
import type { EnvFlags } from "./env.ts";

/** `kata-runtime env`: what the runtime uses, and what it runs on. */
export const envCommand = buildCommand<EnvFlags, [], AppContext>({
  parameters: {
    flags: {
      json: { kind: "boolean", brief: "print JSON instead of TOML", default: false, withNegated: false },
    },
  },
  docs: {
    brief: "print the runtime's settings and the host it runs on",
    fullDescription: "Examples:\n" +
      "  kata-runtime env\n" +
      "  kata-runtime env --json | jq .Hypervisor.Path\n" +
      "  kata-runtime --config ./configuration.toml env",
  },
  loader: async () => {
    const { env } = await import("./env.ts");
    return async function (flags) {
      await env(flags, this.globals);
    };
  },
});
