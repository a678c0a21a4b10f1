/**
 * Arguments of the two programs called virtiofsd: the one written in C, part of QEMU until 7.2, and the one written in
 * Rust that replaced it. Pure functions.
 */

/** Which of the two. */
export type VirtiofsdFlavor = "c" | "rust";

/** What the arguments are made of. */
export interface VirtiofsdArguments {
  readonly flavor: VirtiofsdFlavor;
  /** Folder that the guest sees. */
  readonly sharedDir: string;
  /** Descriptor of the listening socket in the daemon. */
  readonly fd: number;
  /** "auto", "always", "metadata", "never", or "none", which is an old name of "never". */
  readonly cache: string;
  /** As the configuration has them, in the language of the Rust program. */
  readonly extraArgs: readonly string[];
  /** The limit of open files that the daemon must not try to raise; absent: it may choose. */
  readonly openFiles?: number;
}

/** How the C program calls what the Rust program has as a flag of its own. */
const C_OPTIONS: ReadonlyMap<string, string> = new Map([
  ["--announce-submounts", "announce_submounts"],
  ["--xattr", "xattr"],
  ["--posix-acl", "posix_acl"],
  ["--security-label", "security_label"],
  ["--writeback", "writeback"],
  ["--allow-direct-io", "allow_direct_io"],
  ["--no-killpriv-v2", "no_killpriv_v2"],
  ["--no-readdirplus", "no_readdirplus"],
]);

const CACHES = ["auto", "always", "metadata", "never", "none"];

/**
 * Tells the programs apart by what they print with `--version`: "virtiofsd version 7.2.0 …" of QEMU against
 * "virtiofsd 1.13.2".
 *
 * @returns undefined if it is neither
 */
export function flavorOf(versionText: string): VirtiofsdFlavor | undefined {
  if (/^virtiofsd version \d+\.\d+/m.test(versionText)) return "c";
  if (/^virtiofsd \d+\.\d+/m.test(versionText)) return "rust";
  return undefined;
}

/**
 * Builds the arguments, without the program's name.
 *
 * @throws {Error} a sentence: an unknown cache mode, or one that the C program does not have
 */
export function virtiofsdArguments(options: VirtiofsdArguments): string[] {
  if (!CACHES.includes(options.cache)) {
    const allowed = CACHES.map((name) => `"${name}"`).join(", ");
    throw new Error(`the cache mode of virtio-fs must be one of ${allowed}: it is "${options.cache}"`);
  }
  return options.flavor === "c" ? argumentsOfC(options) : argumentsOfRust(options);
}

function argumentsOfRust({ sharedDir, fd, cache, extraArgs, openFiles }: VirtiofsdArguments): string[] {
  return [
    `--shared-dir=${sharedDir}`,
    `--fd=${fd}`,
    `--cache=${cache === "none" ? "never" : cache}`,
    ...(openFiles === undefined ? [] : [`--rlimit-nofile=${openFiles}`]),
    ...extraArgs,
  ];
}

function argumentsOfC({ sharedDir, fd, cache, extraArgs, openFiles }: VirtiofsdArguments): string[] {
  if (cache === "metadata") {
    throw new Error(`the virtiofsd of QEMU has no cache mode "metadata": use "auto", "always" or "never"`);
  }
  return [
    ...["-o", `source=${sharedDir.replaceAll(",", "\\,")}`],
    ...["-o", `cache=${cache === "never" ? "none" : cache}`],
    `--fd=${fd}`,
    "-f", // stay in the foreground
    ...(openFiles === undefined ? [] : [`--rlimit-nofile=${openFiles}`]),
    ...extraArgs.flatMap((argument) => {
      const option = C_OPTIONS.get(argument);
      return option === undefined ? [argument] : ["-o", option];
    }),
  ];
}
