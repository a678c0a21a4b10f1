import { isErrno } from "../../sys/errors.ts";
import { isFolder } from "../../sys/exists.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import { initModule } from "../../sys/host.ts";
import type { Logger } from "../log.ts";
import type { ServerAddress } from "../server_address.ts";
import { delay } from "../../sys/timer.ts";

/**
 * List of the guest's modules: one per line, in an order in which they can be loaded. A line is an absolute path, then
 * the names of the modules that must be loaded before, each after a space.
 */
export const MODULE_LIST = "/lib/modules/kata.load";

/** The same of modules that are only loaded when somebody asks for them by name. */
const MORE_LIST = "/lib/modules/kata.more";

/** Drivers without which the host cannot talk to the agent. What the kernel has built in is not on the list. */
const CHANNEL_MODULES: Readonly<Record<ServerAddress["kind"], readonly string[]>> = {
  "vsock": ["virtio_pci", "virtio_mmio", "vmw_vsock_virtio_transport"],
  "virtio-serial": ["virtio_pci", "virtio_mmio", "virtio_console"],
  "unix": [],
};

/** Drivers by the type of virtio device (linux/virtio_ids.h), those that the first container waits for in front. */
const DEVICE_MODULES: readonly (readonly [type: number, ...modules: string[]])[] = [
  [9, "9pnet_virtio", "9p"],
  [26, "virtiofs"],
  [1, "virtio_net"],
  [2, "virtio_blk"],
  [4, "virtio_rng"],
  [8, "virtio_scsi", "sd_mod"],
  [24, "virtio_mem"],
];

/** Filesystems of disks: large, and mostly of no use. They are loaded with the first disk that has them. */
const ON_DEMAND = new Set(["ext4", "xfs", "erofs"]);

/** The virtio devices of this machine. */
const DEVICES = "/sys/bus/virtio/devices";

/** One line of the list. */
interface Entry {
  readonly path: string;
  readonly needs: readonly string[];
}

/** A module's name as the kernel shows it: without folder and suffix, with underscores. */
export function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const end = file.indexOf(".ko");
  return (end < 0 ? file : file.slice(0, end)).replaceAll("-", "_");
}

/** The list by the modules' names, in its order. */
export function parseModuleList(text: string): ReadonlyMap<string, Entry> {
  const list = new Map<string, Entry>();
  for (const line of text.split("\n")) {
    const [path = "", ...needs] = line.split(" ");
    if (path !== "") list.set(moduleName(path), { path, needs });
  }
  return list;
}

/** Loads one module into the kernel; one that is there is no error. */
export type LoadModule = (path: string, parameters: string) => void;

/**
 * Loads kernel modules when they are needed.
 *
 * Initialising drivers takes a good part of a guest's way to its first container, and that container mostly needs few
 * of them. So each is loaded by who needs it, and what is left when the guest has time.
 */
export class ModuleLoader {
  readonly #log: Logger;
  readonly #list: ReadonlyMap<string, Entry>;
  readonly #load: LoadModule;
  readonly #loaded = new Set<string>();
  readonly #readMore: () => ReadonlyMap<string, Entry>;
  #moreList: ReadonlyMap<string, Entry> | undefined;

  constructor(
    log: Logger,
    list: ReadonlyMap<string, Entry> = readModuleList(),
    load: LoadModule = loadModule,
    readMore: () => ReadonlyMap<string, Entry> = () => readModuleList(MORE_LIST),
  ) {
    this.#log = log;
    this.#list = list;
    this.#load = load;
    this.#readMore = readMore;
  }

  /** Loads the drivers of a channel. */
  needChannel(kind: ServerAddress["kind"]): void {
    this.need(...CHANNEL_MODULES[kind]);
  }

  /**
   * Loads modules with those that they need, unless that was done, or tried, before. One that is not on the list is
   * assumed to be built in; one that the kernel refuses only matters to code that needs its device.
   */
  need(...names: readonly string[]): void {
    for (const name of names) {
      try {
        this.#loadOnce(name, "");
      } catch (error) {
        this.#log.warn("cannot load a kernel module", { name, error: String(error) });
      }
    }
  }

  /** As {@linkcode need}, for modules that are in the guest but that most guests never need. */
  needMore(...names: readonly string[]): void {
    this.#more();
    this.need(...names);
  }

  /** Loads drivers of the devices that are there, one per turn of the event loop. */
  async needPresent(folder: string = DEVICES): Promise<void> {
    const present = deviceTypes(folder);
    const names = DEVICE_MODULES.flatMap(([type, ...modules]) => present.has(type) ? modules : []);
    await this.#needInTurns(names);
  }

  /** Loads what is left and may be needed any time, one per turn of the event loop: requests are answered in between. */
  async needAll(): Promise<void> {
    const parts = new Set([...this.#list.values()].flatMap(({ needs }) => needs));
    const whole = [...this.#list.keys()].filter((name) => !parts.has(name) && !ON_DEMAND.has(name));
    await this.#needInTurns(whole);
  }

  async #needInTurns(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (this.#loaded.has(name)) continue;
      await delay(0);
      this.need(name);
    }
  }

  /**
   * Loads a module that the host asks for.
   *
   * @throws {Error} a sentence, if it is not in the guest or the kernel refuses it
   */
  loadByName(name: string, parameters: readonly string[]): void {
    const key = moduleName(name);
    if (!this.#list.has(key) && !this.#more().has(key) && !isInKernel(key)) {
      throw new Error(`kernel module "${name}" is not in the guest`);
    }
    this.#loadOnce(key, parameters.join(" "));
  }

  #more(): ReadonlyMap<string, Entry> {
    return this.#moreList ??= this.#readMore();
  }

  #loadOnce(name: string, parameters: string): void {
    // looked up in the longer list only when somebody has asked for more
    const entry = this.#list.get(name) ?? this.#moreList?.get(name);
    if (!entry || this.#loaded.has(name)) return;
    this.#loaded.add(name);
    for (const needed of entry.needs) this.#loadOnce(needed, "");
    this.#load(entry.path, parameters);
  }
}

function loadModule(path: string, parameters: string): void {
  const fd = openFd(path, O.RDONLY);
  try {
    initModule(fd, parameters, !path.endsWith(".ko"));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  } finally {
    closeFd(fd);
  }
}

function readModuleList(path: string = MODULE_LIST): ReadonlyMap<string, Entry> {
  try {
    return parseModuleList(Deno.readTextFileSync(path));
  } catch (error) {
    // A kernel with all drivers built in needs no list.
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}

/** Types of the virtio devices that the machine has. */
function deviceTypes(folder: string): ReadonlySet<number> {
  try {
    const names = Array.from(Deno.readDirSync(folder), (entry) => entry.name);
    return new Set(names.map((name) => Number(Deno.readTextFileSync(`${folder}/${name}/device`))));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Set();
    throw error;
  }
}

/** Whether it is built in, or loaded by somebody else. */
function isInKernel(name: string): boolean {
  return isFolder(`/sys/module/${name}`);
}
