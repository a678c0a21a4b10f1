import { buildCommand, buildRouteMap } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags of `kata-runtime config check` and `show`. */
export interface ConfigFlags {
  readonly annotation?: readonly string[];
  readonly json: boolean;
}

/** Flags of `kata-runtime config default`. */
export interface DefaultFlags {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly image?: string;
}

const parameters = {
  flags: {
    annotation: {
      kind: "parsed",
      parse: String,
      optional: true,
      variadic: true,
      brief: "also apply this pod annotation; may be repeated",
      placeholder: "NAME=VALUE",
    },
    json: { kind: "boolean", brief: "as JSON", default: false, withNegated: false },
  },
  positional: {
    kind: "tuple",
    parameters: [{
      parse: String,
      brief: "the main file; default: --config, KATA_CONF_FILE, then the standard paths",
      placeholder: "FILE",
      optional: true,
    }],
  },
} as const;

const check = buildCommand<ConfigFlags, [file?: string], AppContext>({
  parameters,
  docs: {
    brief: "report every mistake in a configuration",
    fullDescription:
      "Reports each mistake with its file, line, key and value, and what would be right. Unknown keys and\n" +
      "values without an effect are warnings. The exit code is 1 if there is a mistake.\n\n" +
      "Examples:\n" +
      "  kata-runtime config check\n" +
      "  kata-runtime config check ./configuration.toml\n" +
      "  kata-runtime config check --annotation io.katacontainers.config.hypervisor.default_memory=512",
  },
  loader: async () => (await import("./check.ts")).check,
});

const show = buildCommand<ConfigFlags, [file?: string], AppContext>({
  parameters,
  docs: {
    brief: "print the effective values, and where each comes from",
    fullDescription: "Examples:\n" +
      "  kata-runtime config show\n" +
      "  kata-runtime config show | grep -v '# default'\n" +
      "  kata-runtime config show --json | jq '.values[\"hypervisor.qemu.kernel\"]'",
  },
  loader: async () => (await import("./show.ts")).show,
});

const path = (brief: string) =>
  ({ kind: "parsed", parse: String, optional: true, brief, placeholder: "FILE" }) as const;

const print = buildCommand<DefaultFlags, [], AppContext>({
  parameters: {
    flags: {
      kernel: path("the guest's kernel, instead of the installed one"),
      initrd: path("the guest's initrd, instead of the installed one"),
      image: path("the guest's root disk, instead of an initrd"),
    },
  },
  docs: {
    brief: "print a commented configuration with every key",
    fullDescription: "Examples:\n" +
      "  kata-runtime config default > /etc/kata-containers/configuration.toml\n" +
      "  kata-runtime config default --kernel ./vmlinux --initrd ./kata-initrd.img > configuration.toml",
  },
  loader: async () => (await import("./default.ts")).printDefault,
});

/** `kata-runtime config …` */
export const configRoutes = buildRouteMap<string, AppContext>({
  routes: { check, show, default: print },
  docs: { brief: "check, show or generate the configuration" },
});
