/**
 * docs/cli.md: what commands say of themselves, behind what holds for all of them.
 *
 * @module
 */

import { type AppContext, runIn, type Target, targetOf } from "../cmd/runtime/app.ts";
import { DEFAULT_GLOBALS } from "../cmd/runtime/globals.ts";

const HEAD = `# Command line

\`kata-runtime\` is one of the names of the executable. This page is printed by \`deno task docs\` from what the
commands say of themselves; \`kata-runtime help COMMAND\` says the same, and \`kata-runtime completion bash|zsh|fish\`
makes your shell complete it.

- Options have one dash or two, \`--name value\` or \`--name=value\`. Those for all commands stand before the command.
- Results go to standard output, everything else to standard error. The exit code is 0, or 1 after a mistake or a
  failure, which is reported in one sentence. \`run\` exits with the code of the command that it runs, and with 125
  after a mistake.
- With \`--log FILE\` failures are appended to a file as well, as text or (\`--log-format json\`) as JSON.

## What \`check\` finds

Virtual machines run everywhere, in software if need be. So what only hardware support needs is a warning, with the
command that fixes it, and the last line says which of the two it will be. With \`--strict\` it is an error: use that
where software emulation is too slow. As root \`check\` also loads missing kernel modules and makes a virtual machine;
as another user it looks for newer releases, unless \`--no-network-checks\` is given. \`KATA_RELEASE_URL\` names
another list of releases: only a known one, or a server on this machine.

## What \`install\` does

| what | where |
| --- | --- |
| the executable, and links with its other names | \`PREFIX/bin\`; with another prefix than \`/usr\` and \`/usr/local\` links in \`/usr/local/bin\`, too |
| the guest: kernel and initrd | \`PREFIX/share/kata-containers\` |
| the configuration, unless there is one | \`/etc/kata-containers/configuration.toml\` |
| containerd | the runtime \`kata\` at the end of \`/etc/containerd/config.toml\` (versions 1 to 3), every byte of which stays; a file in \`conf.d/\` where version 3 imports that |
| CRI-O | \`/etc/crio/crio.conf.d/50-kata.conf\` |
| Docker from 23.0 on | the runtime \`kata\` in \`/etc/docker/daemon.json\`. Older ones ignore what kind of runtime it is and would run containers without a virtual machine: they are not told |
| Podman | nothing: it cannot use a containerd shim |
| what was done, before it is done | \`/var/lib/kata-containers/install.json\` |

The guest is made from the running kernel (\`/boot/vmlinuz-…\`, \`/lib/modules/…\`), from \`--kernel\` and
\`--modules\`, or copied if it lies beside the executable. Engines are not restarted. \`uninstall\` undoes all of it,
also after an installation that broke off; files that were changed since are kept and named, and out of files of others
only our part is taken.

Sandboxes that run while another version is installed go on with what they were started with. As long as any runs from
the installation, \`uninstall\` names them and does nothing. Two installations at once are not possible.
`;

/** The whole page. */
export async function cliPage(): Promise<string> {
  const root = targetOf([]);
  if (root === undefined) throw new Error("there are no commands");
  const sections: string[] = [];
  for (const words of [[], ...commandsBelow(root, [])]) {
    const name = ["kata-runtime", ...words].join(" ");
    sections.push(`## ${name}\n\n\`\`\`text\n${(await helpOf(words)).trim()}\n\`\`\`\n`);
  }
  return `${HEAD}\n${sections.join("\n")}`;
}

/** The words of each command, in the order of the help. */
function commandsBelow(target: Target, words: string[]): string[][] {
  if (!("getAllEntries" in target)) return [words];
  return target.getAllEntries().filter(({ hidden }) => !hidden).flatMap(({ name, target: next }) =>
    commandsBelow(next, [...words, name["convert-camel-to-kebab"]])
  );
}

async function helpOf(words: readonly string[]): Promise<string> {
  let written = "";
  const process: AppContext["process"] = {
    stdout: { write: (text) => void (written += text) },
    stderr: { write: (text) => void (written += text) },
  };
  const code = await runIn({ process, globals: DEFAULT_GLOBALS }, [...words, "--help"]);
  if (code !== 0) throw new Error(`the help of "${words.join(" ")}" fails: ${written}`);
  return written;
}
