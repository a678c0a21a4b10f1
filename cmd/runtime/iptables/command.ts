import { buildCommand, buildRouteMap } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime iptables …`. */
export interface TableFlags {
  readonly sandboxId: string;
  readonly v6: boolean;
}

const flags = {
  sandboxId: {
    kind: "parsed",
    parse: String,
    brief: "sandbox id, or the beginning of one",
    placeholder: "SANDBOX",
  },
  v6: { kind: "boolean", brief: "the rules for IPv6", default: false },
} as const;

const NEEDS = "Needs iptables in the guest: kata-runtime guest build --with /usr/sbin/iptables-save …";

const get = buildCommand<TableFlags, [], AppContext>({
  parameters: { flags },
  docs: {
    brief: "print the guest's packet filter rules, as iptables-save does",
    fullDescription: `${NEEDS}\n\nExample:\n  kata-runtime iptables get --sandbox-id web-1 > rules`,
  },
  loader: async () => (await import("./iptables.ts")).get,
});

const set = buildCommand<TableFlags, string[], AppContext>({
  parameters: {
    flags,
    positional: {
      kind: "array",
      parameter: { parse: String, brief: "rules, as iptables-restore takes them", placeholder: "FILE" },
    },
  },
  docs: {
    brief: "replace the guest's packet filter rules with those of a file",
    fullDescription: `${NEEDS}\n\nExample:\n  kata-runtime iptables set --sandbox-id web-1 rules`,
  },
  loader: async () => (await import("./iptables.ts")).set,
});

/** `kata-runtime iptables …` */
export const iptablesRoutes = buildRouteMap<string, AppContext>({
  routes: { get, set },
  docs: { brief: "print or replace the guest's packet filter rules" },
});
