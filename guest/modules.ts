/**
 * The kernel modules of a guest: which it needs, where they are, and in what order to load them.
 *
 * Dependencies are read from the modules themselves, so that a package which has only been unpacked, never
 * installed (no `depmod`), will do.
 *
 * @module
 */

import { compressionOf, decompress } from "./decompress/decompress.ts";
import { Elf } from "./elf.ts";
import { PACKET_FILTER_MODULES, VFIO_MODULES } from "../sys/module_names.ts";
import { withoutSignature } from "./module_signature.ts";

/** A folder of modules that does not hold what a guest needs; the message names folder and driver. */
export class ModulesError extends Error {
  override readonly name = "ModulesError";
}

/** A driver that a guest uses. */
interface Driver {
  /** Module name as the kernel shows it, with underscores. */
  name: string;
  /** What does not work without it. */
  purpose: string;
  /** Whether a kernel may be without it. */
  optional?: boolean;
}

/**
 * What a guest needs, in the order in which it needs it: first what the agent lies on, then what it is reached by, since
 * it answers as soon as that works.
 */
export const GUEST_DRIVERS: readonly Driver[] = [
  { name: "virtio_pci", purpose: "every device of the machine" },
  { name: "virtio_blk", purpose: "block devices" },
  { name: "erofs", purpose: "the disk with the agent", optional: true },
  { name: "virtio_console", purpose: "reaching the agent through a virtio-serial port" },
  { name: "vmw_vsock_virtio_transport", purpose: "reaching the agent through vsock" },
  { name: "virtiofs", purpose: "sharing files by virtio-fs" },
  { name: "9pnet_virtio", purpose: "sharing files by 9p" },
  { name: "9p", purpose: "sharing files by 9p" },
  { name: "overlay", purpose: "layered root filesystems" },
  { name: "virtio_net", purpose: "the network" },
  { name: "virtio_scsi", purpose: "SCSI disks" },
  { name: "sd_mod", purpose: "SCSI disks" },
  { name: "crc32c_generic", purpose: "filesystems of disks", optional: true },
  { name: "ext4", purpose: "filesystems of disks" },
  { name: "xfs", purpose: "filesystems of disks" },
  { name: "virtio_rng", purpose: "randomness from the host" },
  { name: "virtio_mem", purpose: "memory that comes and goes" },
];

/** What a guest has for who asks for it by name; nothing else loads it. */
export const MORE_DRIVERS: readonly Driver[] = [
  ...PACKET_FILTER_MODULES.map((name) => ({ name, purpose: "packet filters", optional: true })),
  ...VFIO_MODULES.map((name) => ({
    name,
    purpose: "containers that drive devices themselves",
    optional: true,
  })),
];

/** A module, ready for the guest. */
export interface GuestModule {
  /** Name as the kernel shows it. */
  name: string;
  /** Path below the folder of modules, without a suffix for compression, such as `kernel/fs/9p/9p.ko`. */
  path: string;
  /** Names of the modules in the guest that must be loaded before it. */
  needs: string[];
  /** The module itself, decompressed, without a signature. */
  data: Uint8Array;
}

/** The modules of a guest. */
export interface GuestModules {
  /** Kernel release that they are for, such as `6.1.0-18-amd64`. */
  release: string;
  /** In the order of loading: each stands after those it needs. */
  modules: GuestModule[];
  /** The same of those that are loaded only when somebody asks for them. */
  more: GuestModule[];
  /** Names of what the kernel has built in. */
  builtin: ReadonlySet<string>;
}

/**
 * Path in the initrd of the list of modules: one per line, in an order in which they can be loaded. A line is an
 * absolute path, then the names of the modules that must be loaded before, each after a space.
 */
export const MODULE_LIST = "lib/modules/kata.load";

/** Path of the same list of modules that are loaded only when somebody asks for them. */
export const MORE_LIST = "lib/modules/kata.more";

/**
 * Collects the modules of a guest.
 *
 * @param folder the modules of one kernel release, as in `/lib/modules/<release>`
 * @param drivers what is needed, for tests
 * @param moreDrivers what else is wanted
 * @throws {ModulesError} when a driver is neither there nor built into the kernel
 */
export async function collectModules(
  folder: string,
  drivers: readonly Driver[] = GUEST_DRIVERS,
  moreDrivers: readonly Driver[] = [],
): Promise<GuestModules> {
  const files = await listModules(folder);
  const builtin = await listBuiltin(folder);
  const collected = new Map<string, GuestModule>();
  const begun = new Set<string>();
  let release = baseName(folder);

  const collect = async (name: string, needer: string, optional = false): Promise<void> => {
    if (begun.has(name) || builtin.has(name)) return;
    begun.add(name);
    const path = files.get(name);
    if (path === undefined) {
      if (optional) return;
      throw new ModulesError(
        `"${folder}" has no driver "${name}" (module or built-in), needed for ${needer}`,
      );
    }
    const file = await Deno.readFile(`${folder}/${path}`);
    const data = withoutSignature(compressionOf(file) ? await decompress(file) : file);
    const info = readModuleInfo(data, `${folder}/${path}`);
    if (info.release !== undefined) release = info.release;
    for (const dependency of info.depends) await collect(dependency, `"${name}"`);
    const wishes = info.wishes.map((wish) =>
      files.has(wish) ? wish : `${wish.replace(/^crypto_/, "")}_generic`
    );
    for (const wish of wishes) if (files.has(wish)) await collect(wish, `"${name}"`);
    const needs = [...info.depends, ...wishes].filter((need) => collected.has(need));
    collected.set(name, { name, path: path.replace(/\.(gz|xz|zst)$/, ""), needs, data });
  };
  for (const { name, purpose, optional } of drivers) await collect(name, purpose, optional);
  const needed = collected.size;
  for (const { name, purpose, optional } of moreDrivers) await collect(name, purpose, optional);
  const all = [...collected.values()];
  return { release, modules: all.slice(0, needed), more: all.slice(needed), builtin };
}

/** What a module says about itself. */
export interface ModuleInfo {
  /** Modules that it cannot be loaded without. */
  depends: string[];
  /** Modules that it would like to find loaded; an algorithm's name means its portable module `<name>_generic`. */
  wishes: string[];
  /** Kernel release that it is for. */
  release: string | undefined;
}

/** Reads the `.modinfo` section: strings of the form `key=value`. */
export function readModuleInfo(module: Uint8Array, name: string): ModuleInfo {
  const section = new Elf(module, name).section(".modinfo");
  if (!section) throw new ModulesError(`"${name}" is not a kernel module`);
  const info: ModuleInfo = { depends: [], wishes: [], release: undefined };
  for (const entry of new TextDecoder().decode(section).split("\0")) {
    const at = entry.indexOf("=");
    const value = entry.slice(at + 1);
    switch (entry.slice(0, at)) {
      case "depends":
        info.depends.push(...value.split(",").filter((word) => word !== "").map(moduleName));
        break;
      case "softdep":
        info.wishes.push(...wordsAfterPre(value));
        break;
      case "vermagic":
        info.release = value.split(" ")[0];
    }
  }
  return info;
}

/** The names behind `pre:` in `pre: a b post: c`. */
function wordsAfterPre(text: string): string[] {
  const words = text.split(/\s+/);
  const from = words.indexOf("pre:") + 1;
  if (from === 0) return [];
  const to = words.findIndex((word, i) => i >= from && word.endsWith(":"));
  return words.slice(from, to < 0 ? undefined : to).map(moduleName);
}

/** All module files below a folder, by module name; paths are relative to it. */
async function listModules(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    for await (const entry of Deno.readDir(`${folder}/${path}`)) {
      const inner = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory) await visit(inner);
      else if (/\.ko(\.(gz|xz|zst))?$/.test(entry.name)) files.set(moduleName(entry.name), inner);
    }
  };
  try {
    await visit("");
  } catch (error) {
    throw new ModulesError(
      `cannot read the modules in "${folder}": ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
  return files;
}

/** Names of the drivers that are part of the kernel itself. */
async function listBuiltin(folder: string): Promise<Set<string>> {
  try {
    const list = await Deno.readTextFile(`${folder}/modules.builtin`);
    return new Set(list.split("\n").filter((line) => line !== "").map(moduleName));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Set();
    throw error;
  }
}

/** A module's name as the kernel shows it. */
function moduleName(path: string): string {
  return baseName(path).replace(/\.ko(\.[a-z]+)?$/, "").replaceAll("-", "_");
}

function baseName(path: string): string {
  return path.replace(/\/+$/, "").replace(/^.*\//, "");
}
