import { isErrno } from "../../sys/errors.ts";
import { AT, type OwnedFd, S } from "../../sys/fd.ts";
import { mkdirAt, mknodAt, unlinkAt } from "../../sys/file.ts";
import { MNT, readMountinfo, umount } from "../../sys/mount.ts";
import type { Storage } from "../../rpc/gen/agent_pb.ts";
import { invalidArgument } from "../errors.ts";
import type { Logger } from "../log.ts";
import { attach, type Attachment } from "./attach.ts";
import { makeFolderBeneath, namesBelow, openBeneath, pathOf } from "./beneath.ts";
import { type DriverContext, driverOf } from "./drivers.ts";
import { applyFsGroup } from "./fs_group.ts";

interface Entry {
  references: number;
  readonly undo: DisposableStack;
}

/** Sees to it that kernel modules are loaded. */
export interface KernelDrivers {
  need(...names: readonly string[]): void;
  /** As `need`, for those that few guests have any use for. */
  needMore?(...names: readonly string[]): void;
}

/**
 * The storages of a sandbox, by their mount points.
 *
 * Containers of a pod share storages: the second one that asks for a mount point gets what is there, and the last one
 * that gives it up unmounts it.
 */
export class Storages {
  readonly #entries = new Map<string, Entry>();
  readonly #base: string;
  readonly #drivers: KernelDrivers;
  readonly #log: Logger;

  /** @param base folder that all mount points are below */
  constructor(base: string, drivers: KernelDrivers, log: Logger) {
    this.#base = base;
    this.#drivers = drivers;
    this.#log = log;
  }

  /** Mount points in use and how often. */
  get references(): ReadonlyMap<string, number> {
    return new Map([...this.#entries].map(([path, entry]) => [path, entry.references]));
  }

  /**
   * Provides storages in the order of the list; if one fails, those before it are given up again.
   *
   * @param containerId whom they are for; undefined for the sandbox
   * @returns gives all of them up
   * @throws {RpcError} for a request that makes no sense, with the mount point
   */
  acquire(storages: readonly Storage[], containerId: string | undefined): DisposableStack {
    using taken = new DisposableStack();
    for (const storage of storages) taken.use(this.#acquireOne(storage, containerId));
    return taken.move();
  }

  /** Gives up what has outlived its containers. */
  [Symbol.dispose](): void {
    for (const { undo } of this.#entries.values()) undo.dispose();
    this.#entries.clear();
  }

  #acquireOne(storage: Storage, containerId: string | undefined): Disposable {
    const names = namesBelow(this.#base, storage.mountPoint, "the mount point of a storage");
    if (names.length === 0) throw invalidArgument(`"${storage.mountPoint}" cannot be a mount point`);
    const key = names.join("/");
    let entry = this.#entries.get(key);
    if (!entry) {
      const undo = this.#provide(storage, names, { base: this.#base, containerId });
      entry = { references: outlives(names) ? 1 : 0, undo };
      this.#entries.set(key, entry);
    }
    entry.references++;
    return { [Symbol.dispose]: () => this.#release(key) };
  }

  #release(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry || --entry.references > 0) return;
    this.#entries.delete(key);
    entry.undo.dispose();
  }

  #provide(storage: Storage, names: readonly string[], context: DriverContext): DisposableStack {
    using undo = new DisposableStack();
    const driver = driverOf(storage);
    this.#drivers.need(...driver.modules?.(storage) ?? []);
    const made = this.#makeTarget(names, driver.isFile?.(storage, context) ?? false, undo);
    const attachment = driver.attachment(storage, context);
    if (attachment && !isMounted(attachment, storage.mountPoint)) this.#mount(attachment, names, undo);
    using target = openBeneath(this.#base, names);
    driver.finish?.(storage, target.fd, made);
    if (storage.fsGroup) applyFsGroup(pathOf(target), storage.fsGroup, storage.options.includes("ro"));
    this.#log.debug("storage is ready", { driver: storage.driver, path: storage.mountPoint });
    return undo.move();
  }

  /** @returns whether it was not there */
  #makeTarget(names: readonly string[], isFile: boolean, undo: DisposableStack): boolean {
    const name = names.at(-1) ?? "";
    using parent = makeFolderBeneath(this.#base, names.slice(0, -1)).folder;
    const made = tryMake(parent, name, isFile);
    if (made) undo.defer(() => this.#remove(names, isFile));
    return made;
  }

  #mount(attachment: Attachment, names: readonly string[], undo: DisposableStack): void {
    using target = openBeneath(this.#base, names);
    attach(attachment, target, () => {
      undo.defer(() => this.#unmount(names));
      return openBeneath(this.#base, names);
    });
  }

  #unmount(names: readonly string[]): void {
    try {
      using mounted = openBeneath(this.#base, names);
      umount(pathOf(mounted), MNT.DETACH);
    } catch (error) {
      // Not (or no longer) a mount, or not there at all: it is as it should be.
      if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
    }
  }

  #remove(names: readonly string[], isFile: boolean): void {
    try {
      using parent = openBeneath(this.#base, names.slice(0, -1));
      unlinkAt(parent.fd, names.at(-1) ?? "", isFile ? 0 : AT.REMOVEDIR);
    } catch (error) {
      // A folder that somebody has put something into stays.
      if (!isErrno(error, "ENOENT", "ENOTEMPTY", "EBUSY", "EROFS")) throw error;
    }
  }
}

function tryMake(parent: OwnedFd, name: string, isFile: boolean): boolean {
  try {
    if (isFile) mknodAt(parent.fd, name, S.IFREG | 0o644);
    else mkdirAt(parent.fd, name, 0o755);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** A pod's volumes in memory are there for the next container, too, when one is started again. */
function outlives([area, kind]: readonly string[]): boolean {
  return area === "sandbox" && kind === "ephemeral";
}

/** Whether exactly this is mounted there already (the host may ask for its share twice). */
function isMounted(attachment: Attachment, path: string): boolean {
  if (attachment.kind === "bind") return false;
  const top = readMountinfo().findLast((entry) => entry.mountPoint === path);
  return top !== undefined && top.fstype === attachment.fstype && top.source === attachment.source;
}
