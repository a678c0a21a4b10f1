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

/** It is a path of the machine that is installed on, so the working folder has nothing to do with it. */
const absolute = (text: string) => {
  if (text.startsWith("/")) return text;
  throw new Error("must be an absolute path");
};

const root = (brief: string) =>
  ({ kind: "parsed", parse: path, optional: true, brief, placeholder: "DIR" }) as const;

const COMMON = {
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
      root: root("install into this folder, the root of another machine's image"),
      ...COMMON,
      prefix: {
        kind: "parsed",
        parse: absolute,
        default: "/usr/local",
        brief: "where bin/ and share/ are",
        placeholder: "DIR",
      },
      kernel: {
        kind: "parsed",
        parse: path,
        optional: true,
        brief: "build the guest from this kernel instead of the running one",
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
    brief: "install the executable, the guest and the configuration, and register with the container engines",
    fullDescription:
      "Copies the executable and links its names, makes the guest from the running kernel (unless one lies beside the\n" +
      "executable), writes /etc/kata-containers/configuration.toml, and registers with containerd, CRI-O and Docker\n" +
      "if they are installed. Run it again to update. Files that you changed are kept; uninstall undoes the rest.\n\n" +
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
  parameters: { flags: { root: root("uninstall from this folder"), ...COMMON } },
  docs: {
    brief: "undo what install did; files changed since then are kept and listed",
    fullDescription: "Examples:\n  kata-runtime uninstall --dry-run\n  sudo kata-runtime uninstall",
  },
  loader: async () => (await import("./install.ts")).uninstall,
});
