import { initModule, uname } from "../../sys/host.ts";
import { isErrno } from "../../sys/errors.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import type { Logger } from "../log.ts";
import type { ServerAddress } from "../server_address.ts";

/** List of the modules to load: one absolute path per line, each after those that it needs. */
export const MODULE_LIST = "/lib/modules/kata.load";

/** Drivers without which the host cannot talk to the agent, by the kind of the channel; built-in ones are not listed. */
const CHANNEL_MODULES: Readonly<Record<ServerAddress["kind"], readonly string[]>> = {
  "vsock": ["vmw_vsock_virtio_transport", "virtio_pci", "virtio_mmio"],
  "virtio-serial": ["virtio_console", "virtio_pci", "virtio_mmio"],
  "unix": [],
};

/** A module's name as the kernel shows it: without folder and suffix, with underscores. */
export function moduleName(path: string): string {
  return path.replace(/^.*\//, "").replace(/\.ko(\.[a-z0-9]+)?$/, "").replaceAll("-", "_");
}

/**
 * Splits the list in two: what must be loaded before the channel works, and the rest, both in the list's order.
 *
 * Since every module stands after those it needs, everything up to the last driver of the channel is enough.
 */
export function splitModules(list: readonly string[], channel: ServerAddress["kind"]): {
  first: readonly string[];
  rest: readonly string[];
} {
  const wanted = new Set(CHANNEL_MODULES[channel]);
  const end = list.findLastIndex((path) => wanted.has(moduleName(path))) + 1;
  return { first: list.slice(0, end), rest: list.slice(end) };
}

/**
 * Loads kernel modules: those of the channel at once, the others while the agent already answers.
 *
 * Initialising drivers takes most of the time of a boot. None but the channel's are needed to say "I am here", so the
 * rest is loaded between requests; whoever needs devices waits for {@link ModuleLoader.ready}.
 */
export class ModuleLoader {
  readonly #log: Logger;
  readonly #rest: readonly string[];
  readonly #known: readonly string[];
  #ready: Promise<void> | undefined;

  constructor(channel: ServerAddress["kind"], log: Logger, list: readonly string[] = readModuleList()) {
    this.#log = log;
    this.#known = list;
    const { first, rest } = splitModules(list, channel);
    this.#rest = rest;
    for (const path of first) this.#load(path);
  }

  /** Resolves when all modules of the list are loaded; the first call begins with it. */
  ready(): Promise<void> {
    return this.#ready ??= this.#loadRest();
  }

  /**
   * Loads one module by its name with parameters, after everything on the list.
   *
   * @throws {Error} a sentence, if it is not in the guest or the kernel refuses it
   */
  async loadByName(name: string, parameters: readonly string[]): Promise<void> {
    await this.ready();
    const path = this.#known.find((entry) => moduleName(entry) === moduleName(name)) ?? findModule(name);
    if (path === undefined) {
      if (isBuiltInOrLoaded(name)) return;
      throw new Error(`kernel module "${name}" is not in the guest`);
    }
    loadModule(path, parameters);
  }

  async #loadRest(): Promise<void> {
    for (const path of this.#rest) {
      // One per turn of the event loop: requests are answered in between.
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.#load(path);
    }
  }

  /** A driver that the kernel refuses is missed by whoever needs its device, and only then: it ends nothing here. */
  #load(path: string): void {
    try {
      loadModule(path, []);
    } catch (error) {
      this.#log.warn("cannot load a kernel module", { path, error: String(error) });
    }
  }
}

function loadModule(path: string, parameters: readonly string[]): void {
  const fd = openFd(path, O.RDONLY);
  try {
    initModule(fd, parameters.join(" "), !path.endsWith(".ko"));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  } finally {
    closeFd(fd);
  }
}

function readModuleList(): readonly string[] {
  try {
    return Deno.readTextFileSync(MODULE_LIST).split("\n").map((line) => line.trim()).filter((line) =>
      line !== ""
    );
  } catch (error) {
    // A kernel with all drivers built in needs no list.
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function isBuiltInOrLoaded(name: string): boolean {
  try {
    return Deno.statSync(`/sys/module/${moduleName(name)}`).isDirectory;
  } catch {
    return false;
  }
}

/** Searches the folder of the running kernel's modules, which is small: it holds what the guest was built with. */
function findModule(name: string): string | undefined {
  const pending = [`/lib/modules/${uname().release}`];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    try {
      for (const entry of Deno.readDirSync(folder)) {
        const path = `${folder}/${entry.name}`;
        if (entry.isDirectory) pending.push(path);
        else if (/\.ko(\.|$)/.test(entry.name) && moduleName(path) === moduleName(name)) return path;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}
