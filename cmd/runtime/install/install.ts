/**
 * `kata-runtime install`: everything that a host needs, in its place.
 *
 * @module
 */

import { defaultFile } from "../../../config/texts/default_file.ts";
import { qemuPath } from "../../../config/host.ts";
import { buildGuest, INITRD_FILE, KERNEL_FILE } from "../../../guest/build.ts";
import { isEntry, isFile, isFolder } from "../../../sys/exists.ts";
import { uname } from "../../../sys/host.ts";
import { basename, dirname, resolve } from "../../../sys/path.ts";
import { runProgram } from "../../../sys/run.ts";
import { OWN_FILE } from "../../../sys/self.ts";
import { BUILD_ROAD } from "../../../version.ts";
import { thisHost } from "../check/host.ts";
import { installCommand, kernelCommand } from "../check/fix.ts";
import { failure, why } from "../failure.ts";
import { print } from "../output.ts";
import type { InstallFlags, UninstallFlags } from "./command.ts";
import { registerContainerd } from "./containerd.ts";
import { registerCrio } from "./crio.ts";
import { registerDocker } from "./docker.ts";
import { findGuestSource, type GuestSource } from "./guest_source.ts";
import { type Content, Installer } from "./installer.ts";
import { lockInstallation } from "./lock.ts";
import { isMissing, readManifest } from "./manifest.ts";
import { registerPodman } from "./podman.ts";
import type { Machine, Registration } from "./registration.ts";
import { runningSandboxes } from "./running.ts";
import { undo, withoutPart } from "./uninstall.ts";

const CONFIGURATION = "/etc/kata-containers/configuration.toml";

/** Names that the program is called by. */
const LINKS = ["kata-runtime", "containerd-shim-kata-v2", "kata-monitor"];

/** Prefixes whose programs every daemon finds. */
const IN_EVERY_PATH = ["/usr", "/usr/local"];

const PROGRAM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** A program tells its version at once, or not at all. */
const VERSION_TIMEOUT_MS = 10_000;

/**
 * Installs.
 *
 * @throws {Error} a sentence: why it is not done, or where it stopped
 */
export async function install(flags: InstallFlags): Promise<void> {
  const root = stagingRoot(flags, "install");
  const prefix = resolve("/", flags.prefix);
  if (BUILD_ROAD === "source") throw new Error("only the built program can be installed, not its sources");
  using lock = flags.dryRun ? undefined : lockInstallation(root);
  const manifest = readManifest(root) ?? { version: 1 as const, prefix, entries: [] };
  if (manifest.prefix !== prefix) {
    throw new Error(
      `it is installed below "${manifest.prefix}": uninstall that first, or give --prefix ${manifest.prefix}`,
    );
  }
  const source = findGuestSource({
    kernel: flags.kernel,
    modules: flags.modules,
    // the second: it runs from where it was installed
    beside: [dirname(Deno.execPath()), resolve(dirname(Deno.execPath()), "../share/kata-containers")],
    release: uname().release,
    advice: kernelCommand(thisHost()),
  });
  const say = (line: string) => print(`${line}\n`);
  if (flags.dryRun) say("nothing is changed; this would be done:");
  const installer = new Installer({ root, dryRun: flags.dryRun, manifest, say });
  refuseForeign(installer, prefix);
  const registrations = await resumable(async () => {
    await installParts({ installer, prefix, source });
    const known = await register(machineAt(root), `${prefix}/bin/containerd-shim-kata-v2`);
    await applyRegistrations(installer, known);
    return known;
  });
  lock?.release();
  for (const { engine, notes } of registrations) for (const note of notes) say(`${engine}: ${note}`);
  if (root === "" && !isEntry(qemuPath())) say(`QEMU is missing: ${installCommand(thisHost(), "qemu")}`);
}

/** Says what to do about an installation that stopped half-way. */
async function resumable<T>(steps: () => Promise<T>): Promise<T> {
  try {
    return await steps();
  } catch (error) {
    const text = `${failure(error)}; "install" goes on from here, "uninstall" undoes what was done`;
    throw new Error(text, { cause: error });
  }
}

/** Paths of our files. */
function placesBelow(prefix: string) {
  const bin = `${prefix}/bin`;
  const share = `${prefix}/share/kata-containers`;
  const outside = IN_EVERY_PATH.includes(prefix) ? [] : LINKS.map((name) => `/usr/local/bin/${name}`);
  return { bin, share, outside, guestFiles: [`${share}/${KERNEL_FILE}`, `${share}/${INITRD_FILE}`] };
}

/** @throws {Error} files that are not ours are where ours are to be */
function refuseForeign(installer: Installer, prefix: string): void {
  const { bin, outside, guestFiles } = placesBelow(prefix);
  const own = [`${bin}/kata`, ...LINKS.map((name) => `${bin}/${name}`), ...outside, ...guestFiles];
  const foreign = installer.foreign(own);
  if (foreign.length > 0) {
    throw new Error(
      `${
        foreign.join(", ")
      }: exists already and was not installed by kata-runtime: move it away, or choose another --prefix`,
    );
  }
}

/** Everything of ours, before it is registered with any engine; what takes long, and may fail, comes first. */
async function installParts(
  { installer, prefix, source }: { installer: Installer; prefix: string; source: GuestSource },
): Promise<void> {
  const { bin, share, outside, guestFiles } = placesBelow(prefix);
  installer.begin();
  await withGuest(source, async (guest, about) => {
    for (const path of guestFiles) {
      await installer.file(path, 0o644, () => guest(basename(path)), about);
    }
  });
  const executable = { copyOf: OWN_FILE };
  await installer.file(`${bin}/kata`, 0o755, () => Promise.resolve(executable));
  for (const name of LINKS) installer.link(`${bin}/${name}`, "kata");
  for (const path of outside) installer.link(path, `${bin}/kata`);
  await installer.configuration(CONFIGURATION, defaultConfiguration(share));
}

/** Gives the guest's files, which are made when the first is asked for. */
async function withGuest(
  source: GuestSource,
  use: (file: (name: string) => Promise<Content>, about: string) => Promise<void>,
): Promise<void> {
  if (source.kind === "made") {
    return await use((name) => Promise.resolve({ copyOf: `${source.folder}/${name}` }), "");
  }
  await using taken = new AsyncDisposableStack();
  let folder: string | undefined;
  const made = async (name: string): Promise<Content> => {
    if (folder === undefined) {
      const temporary = await Deno.makeTempDir({ prefix: "kata-guest-" });
      taken.defer(() => Deno.remove(temporary, { recursive: true }));
      const { kernel, modules } = source;
      await buildGuest({ kernel, modules, executable: OWN_FILE, out: temporary });
      folder = temporary;
    }
    return { copyOf: `${folder}/${name}` };
  };
  await use(made, `made from ${source.kernel}`);
  await taken.disposeAsync();
}

function defaultConfiguration(share: string): string {
  return defaultFile({
    "hypervisor.kernel": JSON.stringify(`${share}/${KERNEL_FILE}`),
    "hypervisor.initrd": JSON.stringify(`${share}/${INITRD_FILE}`),
  });
}

async function register(machine: Machine, shim: string): Promise<Registration[]> {
  const places = { shim, configuration: CONFIGURATION };
  const all = [
    await registerContainerd(machine),
    registerCrio(machine, places),
    await registerDocker(machine),
    registerPodman(machine),
  ];
  return all.filter((one) => one !== undefined);
}

async function applyRegistrations(
  installer: Installer,
  registrations: readonly Registration[],
): Promise<void> {
  for (const { change } of registrations) {
    if (change === undefined) continue;
    if (change.kind === "file") await installer.configuration(change.path, change.text);
    else {await installer.edit(change.path, change.form, change.text, (text) =>
        withoutPart(change.form, text));}
  }
}

/**
 * Uninstalls.
 *
 * @throws {Error} a sentence: why it is not done
 */
export async function uninstall(flags: UninstallFlags): Promise<void> {
  const root = stagingRoot(flags, "uninstall");
  using lock = flags.dryRun || !isFolder(root) && root !== "" ? undefined : lockInstallation(root);
  const manifest = readManifest(root);
  const say = (line: string) => print(`${line}\n`);
  if (manifest !== undefined && root === "") {
    const running = runningSandboxes(`${manifest.prefix}/bin/kata`);
    if (running.length > 0 && flags.dryRun) {
      say(`not before these sandboxes have ended: ${running.join(", ")}`);
    } else if (running.length > 0) {
      throw new Error(
        `sandboxes are still running from it and could not be stopped afterwards: stop ${
          running.join(", ")
        } first`,
      );
    }
  }
  if (flags.dryRun) say("nothing is changed; this would be done:");
  if (!await undo({ root, dryRun: flags.dryRun, say })) say("nothing is installed");
  lock?.release();
}

/** @throws {Error} only root may change this machine */
function stagingRoot(flags: UninstallFlags, command: string): string {
  const root = flags.root === undefined ? "" : resolve(Deno.cwd(), flags.root).replace(/\/$/, "");
  if (root === "" && !flags.dryRun && Deno.uid() !== 0) {
    throw new Error(
      `only root can ${command}: sudo kata-runtime ${command}; --dry-run shows what would be done, --root DIR does it in a folder`,
    );
  }
  return root;
}

/** The machine below a staging folder. */
function machineAt(root: string): Machine {
  return {
    read(path) {
      try {
        return Deno.readTextFileSync(root + path);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw new Error(`cannot read "${root}${path}": ${why(error)}`, { cause: error });
      }
    },
    exists: (path) => isEntry(root + path),
    program: (name) =>
      PROGRAM_FOLDERS.map((folder) => `${folder}/${name}`).find((path) => isFile(root + path)),
    async version(path) {
      try {
        return (await runProgram({ argv: [root + path, "--version"], timeoutMs: VERSION_TIMEOUT_MS })).stdout;
      } catch {
        return undefined;
      }
    },
  };
}
