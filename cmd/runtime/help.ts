/**
 * What the help says besides the list of commands.
 *
 * @module
 */

import { GLOBAL_OPTIONS } from "./globals.ts";

const EXAMPLES = `Is this machine ready, and what is it made of?
  kata-runtime check --verbose
  kata-runtime env --json

Run something in a virtual machine of its own, without containerd:
  kata-runtime run --rootfs ./rootfs -- uname -r
  kata-runtime run --tty --rootfs ./rootfs -- sh

Which system calls would create the container of an OCI bundle?
  kata-runtime explain ./bundle

Look at what runs:
  kata-runtime list
  kata-runtime logs --follow SANDBOX
  kata-runtime exec SANDBOX

Find the mistakes in a configuration:
  kata-runtime config check ./configuration.toml

Register with containerd, CRI-O and Docker (try it first), and undo it:
  kata-runtime install --dry-run
  sudo kata-runtime install
  sudo kata-runtime uninstall

Explain a command:
  kata-runtime help run`;

/** Examples, then the options that stand before the command. */
export const HELP_EXAMPLES: string = `${EXAMPLES}\n\nOPTIONS BEFORE THE COMMAND\n${globalOptions()}`;

function globalOptions(): string {
  const rows = GLOBAL_OPTIONS.map(({ names, placeholder = "", brief }) => ({
    left: `--${names[0]} ${placeholder}`.trimEnd(),
    brief,
  }));
  const width = Math.max(...rows.map(({ left }) => left.length));
  return rows.map(({ left, brief }) => `  ${left.padEnd(width)}  ${brief}`).join("\n");
}
