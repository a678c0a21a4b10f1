/**
 * Folders of the host that containers watch (`watchable-bind`).
 *
 * The kernel tells watchers nothing of what the host does to files on a share. So the containers get a copy in the
 * guest's memory, which follows the original; what changes the copy is what watchers are told.
 */

import { S } from "../../sys/fd.ts";
import { mount, type MountInfo, MS, readMountinfo } from "../../sys/mount.ts";
import {
  filePieces,
  inCopyOrder,
  isSameTree,
  TreeChanged,
  type TreeEntry,
  type TreeLimits,
  treeSnapshot,
  TreeTooLarge,
} from "../../sys/tree_snapshot.ts";
import { type CopyFileRequest, CopyFileRequestSchema, type Storage } from "../../rpc/gen/agent_pb.ts";
import { create } from "../../rpc/message.ts";
import { copyFile } from "../copy_file.ts";
import { invalidArgument } from "../errors.ts";
import type { Logger } from "../log.ts";
import { makeFolderBeneath, namesBelow, openBeneath, pathOf } from "./beneath.ts";
import { WATCHABLE } from "./drivers.ts";
import { removeTree } from "./tree.ts";

const MIB = 2 ** 20;

/** What is copied at all; a new version stands beside the old one for a moment, so a volume may have half of it. */
const FIRST_LIMITS: TreeLimits = { files: 16, entries: 64, bytes: MIB, depth: 8 };
/** What is copied of a folder that a container has a copy of already, as it can get nothing else any more. */
const LATER_LIMITS: TreeLimits = { files: 512, entries: 2048, bytes: 4 * MIB, depth: 8 };

/** Pause between two looks, in milliseconds. */
const INTERVAL_MS = 2_000;
/** How often something that is being changed is looked at again at once. */
const TRIES = 3;
/** The copies of all containers. */
const MEMORY_OPTIONS = "mode=0755,size=64m";

/** How the copies follow. */
export interface WatchOptions {
  readonly base: string;
  readonly log: Logger;
  /** pause between two looks, in milliseconds */
  readonly intervalMs?: number;
}

/** Storages of a container, ready to be acquired. */
export interface PreparedStorages {
  readonly storages: readonly Storage[];
  /** Fills the folders when they are there; from then on they follow. */
  begin(): Disposable;
}

/** What a folder has in it, with the contents of its files. */
interface Reading {
  readonly entries: readonly TreeEntry[];
  readonly contents: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** All copies of a sandbox. */
export class WatchedFolders implements AsyncDisposable {
  readonly #options: WatchOptions;
  readonly #copies = new Set<Copy>();
  #running: Promise<void> | undefined;
  #endPause = () => {};

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /**
   * Reads what is to be copied, so that nothing has to be waited for later. What is too large is bound, and then
   * nobody is told of changes.
   *
   * @throws {RpcError} `InvalidArgument` for a source that cannot be read
   */
  async prepare(storages: readonly Storage[]): Promise<PreparedStorages> {
    const copies: { readonly copy: Copy; readonly reading: Reading }[] = [];
    const ready: Storage[] = [];
    for (const storage of storages) {
      if (storage.driver !== WATCHABLE) {
        ready.push(storage);
        continue;
      }
      const { base, log } = this.#options;
      const { source, mountPoint } = storage;
      namesBelow(base, source, "the source of a watched folder");
      this.#provideMemory(mountPoint);
      const reading = await this.#read(storage);
      if (reading === undefined) {
        ready.push({ ...storage, driver: "bind", fstype: "bind" });
        continue;
      }
      copies.push({ copy: new Copy(source, mountPoint, base, log), reading });
      ready.push({ ...storage, driver: "local", source: "local", fstype: "local", options: [] });
    }
    return { storages: ready, begin: () => this.#begin(copies) };
  }

  async #read({ source, mountPoint }: Storage): Promise<Reading | undefined> {
    try {
      return await read(source, FIRST_LIMITS);
    } catch (error) {
      if (!(error instanceof TreeTooLarge)) {
        throw invalidArgument(`cannot copy "${source}" to "${mountPoint}": ${reason(error)}`, {
          cause: error,
        });
      }
      this.#options.log.info("a folder is not watched", { path: mountPoint, reason: error.message });
      return undefined;
    }
  }

  #begin(copies: readonly { readonly copy: Copy; readonly reading: Reading }[]): Disposable {
    using taken = new DisposableStack();
    for (const { copy, reading } of copies) {
      taken.defer(() => this.#end(copy));
      copy.apply(reading);
      this.#copies.add(copy);
    }
    if (this.#copies.size > 0) this.#running ??= this.#run();
    return taken.move();
  }

  #end(copy: Copy): void {
    copy.end();
    this.#copies.delete(copy);
    if (this.#copies.size === 0) this.#endPause();
  }

  /** One look after the other: a share that does not answer holds up one call, however many folders there are. */
  async #run(): Promise<void> {
    while (this.#copies.size > 0) {
      await this.#pause();
      for (const copy of [...this.#copies]) await copy.follow();
    }
    this.#running = undefined;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(id);
        resolve();
      };
      const id = setTimeout(end, this.#options.intervalMs ?? INTERVAL_MS);
      this.#endPause = end;
    });
  }

  /** The folder of all copies is the guest's memory, whatever it was: on a share the guest cannot make folders there. */
  #provideMemory(mountPoint: string): void {
    const { base } = this.#options;
    const names = namesBelow(base, mountPoint, "the mount point of a storage").slice(0, -1);
    const path = [base, ...names].join("/");
    if (isMemory(readMountinfo().findLast((entry) => entry.mountPoint === path))) return;
    using folder = makeFolderBeneath(base, names).folder;
    mount("watched", pathOf(folder), "tmpfs", MS.NOSUID | MS.NODEV, MEMORY_OPTIONS);
  }

  /** Ends the copies, and waits for a look that is going on. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const copy of [...this.#copies]) this.#end(copy);
    await this.#running;
  }
}

function isMemory(mounted: MountInfo | undefined): boolean {
  return mounted?.fstype === "tmpfs" && mounted.source === "watched";
}

/** A copy and its original. */
class Copy {
  readonly #source: string;
  readonly #target: string;
  readonly #base: string;
  readonly #log: Logger;
  #entries: readonly TreeEntry[] = [];
  #trouble = "";
  #ended = false;

  constructor(source: string, target: string, base: string, log: Logger) {
    this.#source = source;
    this.#target = target;
    this.#base = base;
    this.#log = log;
  }

  /** Looks at the original, and does to the copy what was done to it. What goes wrong is told once, and tried again. */
  async follow(): Promise<void> {
    if (this.#ended) return;
    try {
      const seen = await treeSnapshot(this.#source, LATER_LIMITS);
      if (isSameTree(seen, this.#entries)) return void (this.#trouble = "");
      const reading = await read(this.#source, LATER_LIMITS, this.#entries);
      // the container may be gone by now
      if (this.#ended) return;
      this.apply(reading);
      this.#trouble = "";
      this.#log.debug("a watched folder has changed", { path: this.#target });
    } catch (error) {
      // when it is done there will be something to see
      if (error instanceof TreeChanged) return;
      const trouble = reason(error);
      if (trouble !== this.#trouble) {
        this.#log.warn("a watched folder cannot be followed", { path: this.#target, reason: trouble });
      }
      this.#trouble = trouble;
    }
  }

  /** Makes the copy like the original: new things first, then what says that they count, then the old ones go. */
  apply({ entries, contents }: Reading): void {
    const before = new Map(this.#entries.map((entry) => [entry.path, JSON.stringify(entry)]));
    for (const entry of inCopyOrder(entries)) {
      if (before.get(entry.path) !== JSON.stringify(entry)) this.#make(entry, contents.get(entry.path));
    }
    const now = new Set(entries.map(({ path }) => path));
    for (const { path } of this.#entries) if (!now.has(path)) this.#remove(path);
    this.#entries = entries;
  }

  #make({ path, kind, mode, uid, gid, size, target }: TreeEntry, content = new Uint8Array()): void {
    const type = kind === "folder" ? S.IFDIR : kind === "file" ? S.IFREG : S.IFLNK;
    const request = create<CopyFileRequest>(CopyFileRequestSchema, {
      path: path === "" ? this.#target : `${this.#target}/${path}`,
      fileMode: type | (mode & 0o7777),
      dirMode: 0o755,
      fileSize: BigInt(size),
      uid,
      gid,
      data: kind === "link" ? new TextEncoder().encode(target) : content,
    });
    copyFile(request, this.#base);
  }

  #remove(path: string): void {
    const names = namesBelow(this.#base, `${this.#target}/${path}`, "a file of a watched folder");
    try {
      using parent = openBeneath(this.#base, names.slice(0, -1));
      removeTree(parent.fd, names.at(-1) ?? "");
    } catch (error) {
      // it went with its folder
      if (!(error instanceof Error) || !/ENOENT/.test(error.message)) throw error;
    }
  }

  /** The folder itself is a storage, and goes with it. */
  end(): void {
    this.#ended = true;
    for (const { path } of this.#entries) if (path !== "" && !path.includes("/")) this.#remove(path);
    this.#entries = [];
  }
}

/**
 * Reads what is in a folder, all of it of the same moment.
 *
 * @param known whose contents are not needed again
 */
async function read(
  source: string,
  limits: TreeLimits,
  known: readonly TreeEntry[] = [],
): Promise<Reading> {
  const stamps = new Map(known.map((entry) => [entry.path, JSON.stringify(entry)]));
  for (let tries = 1;; tries++) {
    try {
      const entries = await treeSnapshot(source, limits);
      const contents = new Map<string, Uint8Array<ArrayBuffer>>();
      for (const entry of entries) {
        if (entry.kind !== "file" || stamps.get(entry.path) === JSON.stringify(entry)) continue;
        for await (const { data } of filePieces(source, entry, limits.bytes)) contents.set(entry.path, data);
      }
      if (isSameTree(entries, await treeSnapshot(source, limits))) return { entries, contents };
      throw new TreeChanged(`"${source}" is being changed`);
    } catch (error) {
      if (!(error instanceof TreeChanged) || tries === TRIES) throw error;
    }
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
