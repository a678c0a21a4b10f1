import { buildCommand, buildRouteMap } from "@stricli/core";
import { type Extra, parseExtra } from "../../../guest/extras.ts";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime guest build`. */
export interface GuestBuildFlags {
  readonly kernel: string;
  readonly modules: string;
  readonly out: string;
  readonly with?: readonly Extra[];
  readonly module?: readonly string[];
  readonly inMemory: boolean;
}

const path = (text: string) => {
  if (text === "") throw new Error("a path must not be empty");
  return text;
};

const buildCommandDefinition = buildCommand<GuestBuildFlags, [], AppContext>({
  parameters: {
    flags: {
      kernel: {
        kind: "parsed",
        parse: path,
        brief: "the kernel: a vmlinuz or vmlinux file",
        placeholder: "FILE",
      },
      modules: {
        kind: "parsed",
        parse: path,
        brief: "its modules: the folder that holds modules.dep (lib/modules/VERSION)",
        placeholder: "DIR",
      },
      out: {
        kind: "parsed",
        parse: path,
        brief: "where vmlinux and kata-initrd.img are written",
        placeholder: "DIR",
      },
      with: {
        kind: "parsed",
        parse: parseExtra,
        optional: true,
        variadic: true,
        brief: "add a file or folder to the guest, a program with its libraries; may be repeated",
        placeholder: "FILE[:PATH]",
      },
      module: {
        kind: "parsed",
        parse: path,
        optional: true,
        variadic: true,
        brief: "add a kernel module to the guest, with its dependencies; may be repeated",
        placeholder: "NAME",
      },
      inMemory: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "keep all of the guest in its memory, nothing on a disk, as confidential guests need",
      },
    },
  },
  docs: {
    brief: "build the guest: an initrd from this executable, and an uncompressed kernel",
    fullDescription: "Example:\n" +
      "  kata-runtime guest build --kernel /boot/vmlinuz-6.1.0-40-amd64 \\\n" +
      "    --modules /lib/modules/6.1.0-40-amd64 --out /usr/share/kata-containers\n" +
      "Add --with /usr/bin/busybox --with /usr/bin/busybox:/bin/sh for a shell in the guest (kata-runtime exec;\n" +
      "there, busybox --install -s /bin makes the other commands), --with /usr/sbin/iptables-save --with /usr/sbin/iptables-restore\nfor kata-runtime iptables.",
  },
  loader: async () => (await import("./build.ts")).build,
});

/** `kata-runtime guest …` */
export const guestRoutes = buildRouteMap<string, AppContext>({
  routes: { build: buildCommandDefinition },
  docs: { brief: "build guest assets (kernel and initrd)" },
});
