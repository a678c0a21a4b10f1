import { buildCommand } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime uninstall`. */
export interface UninstallFlags {
  readonly root?: string;
  readonly dryRun: boolean;
}

/** Flags of `kata-runtime install`. */
export interface InstallFlags extends UninstallFlags {
  readonly prefix: string;
  readonly kernel?: string;
  readonly modules?: string;
}

const path = (text: string) => {
  if (text === "") throw new Error("a path must not be empty");
  return text;
};

const COMMON = {
  root: {
    kind: "parsed",
    parse: path,
    optional: true,
    brief: "do it in a folder that will become another machine's root",
    placeholder: "DIR",
  },
  dryRun: {
    kind: "boolean",
    brief: "only print what would be done",
    default: false,
    withNegated: false,
  },
} as const;

/** `kata-runtime install` */
export const installCommand = buildCommand<InstallFlags, [], AppContext>({
  parameters: {
    flags: {
      ...COMMON,
      prefix: {
        kind: "parsed",
        parse: path,
        default: "/usr/local",
        brief: "where bin/ and share/ are",
        placeholder: "DIR",
      },
      kernel: {
        kind: "parsed",
        parse: path,
        optional: true,
        brief: "make the guest from this kernel instead of the running one",
        placeholder: "FILE",
      },
      modules: {
        kind: "parsed",
        parse: path,
        optional: true,
        brief: "the modules of --kernel: lib/modules/VERSION",
        placeholder: "DIR",
      },
    },
  },
  docs: {
    brief: "install this program, its guest and its configuration, and tell the container engines",
    fullDescription:
      "Copies the executable and links its names, makes the guest from the running kernel (unless one lies beside the\n" +
      "executable), writes /etc/kata-containers/configuration.toml, and registers with containerd, CRI-O and Docker\n" +
      "where they are. Run again it brings everything up to date. What you have changed is kept; uninstall undoes the rest.\n\n" +
      "Examples:\n" +
      "  kata-runtime install --dry-run\n" +
      "  sudo kata-runtime install\n" +
      "  sudo kata-runtime install --prefix /opt/kata --kernel /boot/vmlinuz-6.1 --modules /lib/modules/6.1\n" +
      "  kata-runtime install --root ./image",
  },
  loader: async () => (await import("./install.ts")).install,
});

/** `kata-runtime uninstall` */
export const uninstallCommand = buildCommand<UninstallFlags, [], AppContext>({
  parameters: { flags: COMMON },
  docs: {
    brief: "undo what install has done; what was changed since is kept and named",
    fullDescription: "Examples:\n  kata-runtime uninstall --dry-run\n  sudo kata-runtime uninstall",
  },
  loader: async () => (await import("./install.ts")).uninstall,
});
