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
export const checkCommand = buildCommand<CheckFlags, [], AppContext>({
  parameters: {
    flags: {
      checkVersionOnly: flag("only compare with the latest release (needs a network, not as root)"),
      includeAllReleases: flag("include pre-releases"),
      noNetworkChecks: flag("do not use the network; same as KATA_CHECK_NO_NETWORK=1"),
      onlyListReleases: flag("list all releases (needs a network, not as root)"),
      strict: flag("fail if virtual machines can only run in software emulation"),
      verbose: flag("also show the checks that pass"),
    },
    aliases: { n: "noNetworkChecks", s: "strict", v: "verbose" },
  },
  docs: {
    brief: "check whether this machine can run virtual machines, and how to fix what is missing",
    fullDescription:
      "As root it also creates a virtual machine and loads missing kernel modules, but uses no network.\n\n" +
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
