/**
 * Making guest assets: the kernel and the initrd that a machine boots.
 *
 * @module
 */

import { collectExtras, type Extra } from "./extras.ts";
import { architectureOf, Elf } from "./elf.ts";
import { buildInitrd } from "./initrd.ts";
import { extractKernel, kernelRelease } from "./kernel.ts";
import { librariesOf } from "./libraries.ts";
import { collectModules, GUEST_DRIVERS, ModulesError, MORE_DRIVERS } from "./modules.ts";

/** What to make guest assets from. */
export interface GuestBuildOptions {
  /** The kernel: a `vmlinuz` or `vmlinux` file. */
  kernel: string;
  /** Its modules, the folder `lib/modules/<release>`. */
  modules: string;
  /** Folder to write to; made if missing. */
  out: string;
  /** Program that becomes the guest's `/init`. */
  executable: string;
  /** Folders with the program's libraries, looked at before this machine's own. */
  libraries?: readonly string[];
  /** Further files. */
  extras?: readonly Extra[];
  /** Names of further kernel modules. */
  drivers?: readonly string[];
  /** Whether all of the guest is in its memory from the start, and nothing on a disk; default false. */
  whole?: boolean;
}

/** What was made. */
export interface GuestBuildResult {
  /** Path of the uncompressed kernel. */
  kernel: string;
  /** Path of the initrd. */
  initrd: string;
  /** Kernel release. */
  release: string;
  /** Modules in the initrd that are loaded without being asked for, in the order of loading. */
  modules: string[];
}

/** Names of the files that are written. */
export const KERNEL_FILE = "vmlinux";
export const INITRD_FILE = "kata-initrd.img";

/**
 * Writes `vmlinux` and `kata-initrd.img`. The same input gives the same files, byte for byte; each appears
 * whole or not at all.
 *
 * @throws with the file and the reason, when the kernel cannot be booted directly, a driver or library is
 * missing, or modules and kernel do not belong together
 */
export async function buildGuest(options: GuestBuildOptions): Promise<GuestBuildResult> {
  const kernel = await extractKernel(await Deno.readFile(options.kernel), options.kernel);
  const wanted = (options.drivers ?? []).map((name) => ({
    name: name.replaceAll("-", "_"),
    purpose: "what was asked for",
  }));
  const modules = await collectModules(options.modules, GUEST_DRIVERS, [...MORE_DRIVERS, ...wanted]);
  const release = kernelRelease(kernel);
  if (release !== undefined && release !== modules.release) {
    throw new ModulesError(
      `"${options.kernel}" is kernel ${release}, but the modules in "${options.modules}" are for ${modules.release}`,
    );
  }
  const executable = await Deno.readFile(options.executable);
  const initrd = buildInitrd({
    executable,
    arch: architectureOf(new Elf(executable, options.executable), options.executable),
    whole: options.whole,
    libraries: await librariesOf(options.executable, options.libraries),
    modules,
    extras: await collectExtras(options.extras ?? []),
  });

  await Deno.mkdir(options.out, { recursive: true });
  const paths = { kernel: `${options.out}/${KERNEL_FILE}`, initrd: `${options.out}/${INITRD_FILE}` };
  await writeWhole(paths.kernel, kernel);
  await writeWhole(paths.initrd, initrd);
  return { ...paths, release: modules.release, modules: modules.modules.map(({ name }) => name) };
}

/** Machines may be running from the old file: they keep it, new ones get the new one. */
async function writeWhole(path: string, data: Uint8Array): Promise<void> {
  const temporary = `${path}.${Deno.pid}.new`;
  try {
    await Deno.writeFile(temporary, data, { mode: 0o644 });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}
