import { buildCommand } from "@stricli/core";
import type { Mount } from "../../../oci/spec.ts";
import type { AppContext } from "../app.ts";
import { parseCpus, parseEnv, parseMemory, parseMount, parseName } from "./flags.ts";

/** Flags of `kata-runtime run`, parsed. */
export interface RunFlags {
  readonly rootfs?: string;
  readonly bundle?: string;
  readonly tty: boolean;
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly user?: string;
  readonly cpus?: number;
  /** MiB */
  readonly memory?: number;
  readonly mount?: readonly Mount[];
  readonly hostname?: string;
  readonly netNs?: string;
  readonly readOnly: boolean;
  readonly name?: string;
  readonly config?: string;
  readonly debug: boolean;
  readonly keep: boolean;
}

/** `kata-runtime run`: one process in a container in a VM of its own, without containerd. */
export const runCommand = buildCommand<RunFlags, string[], AppContext>({
  parameters: {
    flags: {
      rootfs: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "folder that becomes the container's root",
        placeholder: "DIR",
      },
      bundle: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "OCI bundle: a folder with config.json; instead of --rootfs",
        placeholder: "DIR",
      },
      tty: { kind: "boolean", brief: "give the process a terminal (yours, in raw mode)", default: false },
      env: {
        kind: "parsed",
        parse: parseEnv,
        variadic: true,
        optional: true,
        brief: "set NAME=VALUE in the environment, or pass on your own value of NAME",
        placeholder: "NAME=VALUE",
      },
      cwd: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "working directory in the container",
        placeholder: "DIR",
      },
      user: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "user to run as: UID[:GID] or NAME[:GROUP] of the rootfs",
        placeholder: "USER",
      },
      cpus: {
        kind: "parsed",
        parse: parseCpus,
        optional: true,
        brief: "CPUs of the VM; a fraction also limits the container",
        placeholder: "N",
      },
      memory: {
        kind: "parsed",
        parse: parseMemory,
        optional: true,
        brief: "memory of the VM, as 512M or 2G (at least 256M)",
        placeholder: "SIZE",
      },
      mount: {
        kind: "parsed",
        parse: parseMount,
        variadic: true,
        optional: true,
        brief: "mount: type=bind,src=DIR,dst=DIR[,options=ro:…] (type tmpfs needs no src)",
        placeholder: "SPEC",
      },
      hostname: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "host name in the container",
        placeholder: "NAME",
      },
      netNs: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "network namespace whose interfaces the VM gets (default: none)",
        placeholder: "PATH",
      },
      readOnly: { kind: "boolean", brief: "make the root read-only", default: false },
      name: {
        kind: "parsed",
        parse: parseName,
        optional: true,
        brief: "id of the container (default: a random one)",
        placeholder: "ID",
      },
      config: {
        kind: "parsed",
        parse: String,
        optional: true,
        brief: "configuration.toml to use",
        placeholder: "FILE",
      },
      debug: {
        kind: "boolean",
        brief: "print debug messages and the guest's console on stderr",
        default: false,
      },
      keep: {
        kind: "boolean",
        brief: "keep the generated bundle (config.json) and print its path",
        default: false,
      },
    },
    positional: {
      kind: "array",
      parameter: { parse: String, brief: "the command and its arguments, after --", placeholder: "command" },
    },
  },
  docs: {
    brief: "run a command in a container in a VM of its own, without containerd",
    fullDescription:
      "Exits with the command's exit code (128 + n after signal n), 127 if the command is not found in the\n" +
      "rootfs, 126 if it cannot be executed, 125 if the container could not be run. Only root can run containers.\n" +
      "Signals go to the command, which is process 1 of its container: what it does not handle, it ignores, but\n" +
      "for SIGTERM. When nobody reads its output any more, it is ended.\n\n" +
      "Examples:\n" +
      "  kata-runtime run --rootfs ./rootfs -- uname -r\n" +
      "  kata-runtime run --tty --rootfs ./rootfs -- sh\n" +
      "  tar c . | kata-runtime run --rootfs ./rootfs --cpus 2 --memory 1G -- tar t\n" +
      "  kata-runtime run --rootfs ./rootfs --net-ns /run/netns/blue -- ip address\n" +
      "  kata-runtime run --rootfs ./rootfs --mount type=bind,src=$PWD,dst=/work,options=ro -- ls /work",
  },
  loader: async () => (await import("./run.ts")).run,
});
