import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime check`. */
export interface CheckFlags {
  readonly checkVersionOnly: boolean;
  readonly includeAllReleases: boolean;
  readonly noNetworkChecks: boolean;
  readonly onlyListReleases: boolean;
  readonly strict: boolean;
  readonly verbose: boolean;
}

/** A switch that is off unless it is given. */
const flag = (brief: string) => ({ kind: "boolean", brief, default: false, withNegated: false }) as const;

/** `kata-runtime check`: can this machine run virtual machines? */
export const checkCommand = buildCommand<CheckFlags, string[], AppContext>({
  parameters: {
    flags: {
      checkVersionOnly: flag("only compare with the latest release (needs a network, not as root)"),
      includeAllReleases: flag("do not leave out pre-releases"),
      noNetworkChecks: flag("use no network; also by KATA_CHECK_NO_NETWORK=1"),
      onlyListReleases: flag("list all releases (needs a network, not as root)"),
      strict: flag("fail where virtual machines can only run in software"),
      verbose: flag("also show what is as it should be"),
    },
    aliases: { n: "noNetworkChecks", s: "strict", v: "verbose" },
    // others are ignored, as callers are used to
    positional: { kind: "array", parameter: { parse: String, brief: "ignored", placeholder: "ignored" } },
  },
  docs: {
    brief: "tell whether this machine can run virtual machines, and how to mend what is missing",
    fullDescription:
      "As root it also makes a virtual machine, loads kernel modules, and uses no network.\n\n" +
      "Examples:\n" +
      "  kata-runtime check --verbose\n" +
      "  sudo kata-runtime check --strict\n" +
      "  kata-runtime check --only-list-releases --include-all-releases",
  },
  loader: async () => {
    const { check } = await import("./check.ts");
    return async function (flags) {
      this.process.exitCode = await check(flags, this.globals);
    };
  },
});
