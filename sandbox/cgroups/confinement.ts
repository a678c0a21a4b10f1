/**
 * What is written into a sandbox's cgroup: the CPUs and memory nodes that it is bound to, and the devices that it may use.
 *
 * @module
 */

import { DeviceFilter } from "../../oci/devices/filter.ts";
import { type DeviceAccessRule, ruleLine } from "../../oci/devices/rules.ts";
import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { basename, dirname } from "../../sys/path.ts";
import { deviceRule, sandboxDeviceRules } from "./devices.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** A cgroup in one hierarchy. */
export interface Place {
  readonly hierarchy: Hierarchy;
  readonly folder: string;
}

/** Files of the CPUs and memory nodes. */
const FILES = { cpus: "cpuset.cpus", mems: "cpuset.mems" } as const;

/** The limits of one cgroup, in the hierarchies that have them. */
export class Confinement implements Disposable {
  readonly #version: 1 | 2;
  readonly #cpuset: Place | undefined;
  readonly #devices: Place | undefined;
  /** how many use each device, by its rule's text */
  readonly #used = new Map<string, { rule: DeviceAccessRule; users: number }>();
  /** what every sandbox may use; absent: devices are not restricted (yet) */
  #common: readonly DeviceAccessRule[] | undefined;
  #filter: { readonly folder: OwnedFd; readonly filter: DeviceFilter } | undefined;

  /** @param places of the cgroup, one in each hierarchy */
  constructor(version: 1 | 2, places: readonly Place[]) {
    const of = (controller: string) =>
      version === 2 ? places[0] : places.find(({ hierarchy }) => hierarchy.controllers.includes(controller));
    this.#version = version;
    this.#cpuset = of("cpuset");
    this.#devices = of("devices");
  }

  /** Whether the host has a way to restrict devices. */
  get knowsDevices(): boolean {
    return this.#devices !== undefined;
  }

  /** @param lists such as "0,2,3"; "" = those of the cgroup above. @throws {Error} */
  bind(lists: Readonly<Record<keyof typeof FILES, string>>): void {
    if (this.#cpuset === undefined) throw new Error("there is no cpuset controller for it");
    const { hierarchy: { root }, folder } = this.#cpuset;
    if (this.#version === 2) switchOn("cpuset", root, dirname(folder));
    for (const kind of ["cpus", "mems"] as const) {
      const file = FILES[kind];
      const inherited = this.#version === 2 ? "\n" : Deno.readTextFileSync(`${dirname(folder)}/${file}`);
      write(`${folder}/${file}`, lists[kind] === "" ? inherited : lists[kind]);
    }
  }

  /** From now on nothing may be used but what is on the list. @throws {Error} */
  restrictDevices(): void {
    if (this.#devices === undefined) throw new Error("there is no devices controller for them");
    this.#common = sandboxDeviceRules();
    const { folder } = this.#devices;
    if (this.#version === 2) {
      const fd = new OwnedFd(openFd(folder, O.RDONLY | O.DIRECTORY));
      this.#filter = { folder: fd, filter: new DeviceFilter(fd.fd) };
      this.#replaceFilter();
      return;
    }
    write(`${folder}/devices.deny`, "a");
    for (const rule of [...this.#common, ...this.#usedRules()]) this.#allow(rule);
  }

  /** A device is on the list until the end of this. @throws {Error} */
  allow(path: string): Disposable | undefined {
    const rule = deviceRule(path);
    if (rule === undefined || this.#devices === undefined) return undefined;
    const key = ruleLine(rule);
    const entry = this.#used.get(key) ?? { rule, users: 0 };
    this.#used.set(key, entry);
    if (++entry.users === 1) this.#changed(rule, true);
    let isUsed = true;
    const release = () => {
      if (!isUsed) return;
      isUsed = false;
      if (--entry.users > 0) return;
      this.#used.delete(key);
      this.#changed(rule, false);
    };
    return { [Symbol.dispose]: release };
  }

  /** Devices are as free as before. */
  giveUpDevices(): void {
    this.#common = undefined;
    this[Symbol.dispose]();
  }

  /** Nothing more can be changed; what is in force stays with the cgroup. */
  [Symbol.dispose](): void {
    this.#common = undefined;
    this.#filter?.filter[Symbol.dispose]();
    this.#filter?.folder[Symbol.dispose]();
    this.#filter = undefined;
  }

  #changed(rule: DeviceAccessRule, isAllowed: boolean): void {
    if (this.#common === undefined || this.#devices === undefined) return;
    if (this.#version === 2) this.#replaceFilter();
    else if (isAllowed) this.#allow(rule);
    else this.#deny(rule);
  }

  #replaceFilter(): void {
    this.#filter?.filter.set([...this.#common ?? [], ...this.#usedRules()]);
  }

  #usedRules(): DeviceAccessRule[] {
    return [...this.#used.values()].map(({ rule }) => rule);
  }

  /** What the cgroup above denies cannot be allowed here, and is denied anyway. */
  #allow(rule: DeviceAccessRule): void {
    try {
      write(`${this.#devices?.folder}/devices.allow`, ruleLine(rule));
    } catch (error) {
      if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    }
  }

  /** What every sandbox may use stays; so does the making of nodes. */
  #deny(rule: DeviceAccessRule): void {
    const isCommon = this.#common?.some(({ type, major, minor, access }) =>
      type === rule.type && major === rule.major && (minor === undefined || minor === rule.minor) &&
      access === rule.access
    );
    if (isCommon) return;
    write(`${this.#devices?.folder}/devices.deny`, ruleLine(rule).replace("rwm", "rw"));
  }
}

/** What a cgroup that was just made needs before it takes anybody. @throws {Error} */
export function prepareCgroup({ hierarchy, folder }: Place, { isThreaded }: { isThreaded: boolean }): void {
  if (hierarchy.controllers.includes("cpuset")) inheritCpus(hierarchy.root, folder);
  const type = `${folder}/cgroup.type`;
  if (isThreaded && Deno.readTextFileSync(type).trim() !== "threaded") write(type, "threaded");
}

/** A new cgroup of version 1 has no CPUs, and takes nobody: it and those above get what is above them. */
function inheritCpus(root: string, folder: string): void {
  if (folder === root) return;
  for (const file of Object.values(FILES)) {
    const path = `${folder}/${file}`;
    if (Deno.readTextFileSync(path).trim() !== "") continue;
    inheritCpus(root, dirname(folder));
    write(path, Deno.readTextFileSync(`${dirname(folder)}/${file}`));
  }
}

/** In all cgroups from the root down to one: only what those above have switched on is there for those below. */
function switchOn(controller: string, root: string, folder: string): void {
  if (folder !== root) switchOn(controller, root, dirname(folder));
  const path = `${folder}/cgroup.subtree_control`;
  if (!Deno.readTextFileSync(path).split(/\s/).includes(controller)) write(path, `+${controller}`);
}

/** @throws {Error} that says what was to be written */
function write(path: string, text: string): void {
  try {
    Deno.writeTextFileSync(path, text, { create: false });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    error.message = `${basename(path)} does not take "${text.trim()}": ${error.message}`;
    throw error;
  }
}
