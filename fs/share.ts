/**
 * The folder that a VM sees of the host: binds made in `mounts` appear in `shared`, which is what is exported.
 *
 *     <base>/<sandbox>/         a bind of itself, private and unbindable: nothing below it spreads elsewhere
 *         mounts/               a bind of itself, shared: where binds are made
 *             <container>/rootfs
 *             <container>-<random>-<name of the destination>
 *         shared/               a read-only slave of mounts: what the guest gets
 *
 * So the guest can neither make entries at the top nor undo binds, and each bind keeps its own flags. The mounts go
 * with their mount namespace; the folders that are left then are empty, and {@linkcode removeSharedFolder} takes them
 * away by their path alone.
 */

import { isErrno } from "../sys/errors.ts";
import { AT, closeFd, fchmodAt, mkdirAt, mknodAt, S, statAt, unlinkAt } from "../sys/fd.ts";
import {
  bindMount,
  mount,
  MOUNT_ATTR,
  mountSetattr,
  MOVE_MOUNT,
  moveMount,
  MS,
  OPEN_TREE,
  openTree,
} from "../sys/mount.ts";
import { removeTree } from "./remove_tree.ts";
import { detach, detachBelow } from "./unmount.ts";

/** Where the guest mounts the exported folder. */
export const GUEST_SHARED = "/run/kata-containers/shared/containers";

/** Folder of all sandboxes' shared folders. */
const SHARED_BASE = "/run/kata-containers/shared/sandboxes";

/** A file or folder of the host that a container sees. */
export interface SharedMount {
  readonly source: string;
  /** where the container sees it; only its last part is used, to make names readable */
  readonly destination: string;
  readonly readonly: boolean;
  /** with what is mounted below it; default: without */
  readonly recursive?: boolean;
  /** with what the host will mount below it; default: without */
  readonly follows?: boolean;
}

/** Folder of what all containers of a sandbox may see. */
const SANDBOX_MOUNTS = "sandbox-mounts";

/** Folder that the guest covers with copies of folders that containers watch. */
const WATCHABLE = "watchable";

/** Longest readable part of a name; the whole name must stay below the 255 bytes of a file name. */
const MAX_LABEL = 64;

/** One sandbox's shared folder. Disposing of it takes away all mounts and folders. */
export class SharedFolder implements AsyncDisposable {
  readonly path: string;
  /** What is exported to the guest. */
  readonly exported: string;
  readonly #mounts: string;
  /** What was mounted for each container, by path, in order. */
  readonly #added = new Map<string, string[]>();

  private constructor(path: string) {
    this.path = path;
    this.exported = `${path}/shared`;
    this.#mounts = `${path}/mounts`;
  }

  /**
   * Makes the folder with its mounts; what an earlier owner left there is removed first.
   *
   * @param base folder to make it in, made if it is missing
   * @throws {SysError} nothing is left behind then
   */
  static prepare(sandboxId: string, base: string = SHARED_BASE): Promise<SharedFolder> {
    return promised(() => {
      Deno.mkdirSync(base, { recursive: true, mode: 0o750 });
      const folder = new SharedFolder(`${base}/${sandboxId}`);
      removeSharedFolder(folder.path);
      try {
        folder.#make();
      } catch (error) {
        removeSharedFolder(folder.path);
        throw error;
      }
      return folder;
    });
  }

  /**
   * Shows a container's root to the guest, without what is mounted below it.
   *
   * @param source folder of the host; links are followed
   * @returns where the guest finds it
   */
  addRootfs(containerId: string, source: string): Promise<string> {
    return promised(() => {
      const folder = `${this.#mounts}/${containerId}`;
      makeFolder(folder, 0o750);
      this.#remember(containerId, folder);
      this.#bind(containerId, { source, target: `${folder}/rootfs`, readonly: false });
      return `${GUEST_SHARED}/${containerId}/rootfs`;
    });
  }

  /**
   * Shows a file or folder to the guest.
   *
   * @returns where the guest finds it
   */
  addMount(containerId: string, { destination, ...shared }: SharedMount): Promise<string> {
    return promised(() => {
      const name = `${containerId}-${randomHex()}-${labelOf(destination)}`;
      this.#bind(containerId, { ...shared, target: `${this.#mounts}/${name}` });
      return `${GUEST_SHARED}/${name}`;
    });
  }

  /**
   * Shows files and folders to all containers' guest, read-only, each by the last part of its path, in a folder
   * `sandbox-mounts` of what the guest sees.
   *
   * @param sources have different last parts
   */
  addSandboxMounts(sources: readonly string[]): Promise<void> {
    return promised(() => {
      if (sources.length === 0) return;
      const folder = `${this.#mounts}/${SANDBOX_MOUNTS}`;
      makeFolder(folder, 0o750);
      this.#remember(SANDBOX_MOUNTS, folder);
      for (const source of sources) {
        const name = source.replace(/\/+$/, "").split("/").at(-1) ?? "";
        this.#bind(SANDBOX_MOUNTS, { source, target: `${folder}/${name}`, readonly: true });
      }
    });
  }

  /**
   * Makes the place where the guest keeps copies of what containers watch, since the guest cannot make it.
   *
   * @returns where the guest finds it
   */
  addWatchable(): Promise<string> {
    return promised(() => {
      const folder = `${this.#mounts}/${WATCHABLE}`;
      if (!this.#added.has(WATCHABLE)) {
        makeFolder(folder, 0o750);
        this.#remember(WATCHABLE, folder);
      }
      return `${GUEST_SHARED}/${WATCHABLE}`;
    });
  }

  /** Takes back everything that was added for a container. Safe to call again, and for one that has nothing. */
  remove(containerId: string): Promise<void> {
    return promised(() => {
      const added = this.#added.get(containerId) ?? [];
      for (let path; (path = added.at(-1)) !== undefined; added.pop()) {
        detach(path);
        removeEmpty(path);
      }
      this.#added.delete(containerId);
    });
  }

  /** Takes away all mounts and folders. Safe to call again. */
  [Symbol.asyncDispose](): Promise<void> {
    return promised(() => {
      this.#added.clear();
      removeSharedFolder(this.path);
    });
  }

  #make(): void {
    makeFolder(this.path, 0o750);
    bindMount(this.path, this.path);
    mount("", this.path, "", MS.PRIVATE);
    makeFolder(this.exported, 0o700);
    makeFolder(this.#mounts, 0o750);
    bindMount(this.#mounts, this.#mounts);
    mount("", this.#mounts, "", MS.SHARED);
    const tree = openTree(AT.FDCWD, this.#mounts, OPEN_TREE.CLONE);
    try {
      mountSetattr(tree, "", { set: MOUNT_ATTR.RDONLY, propagation: MS.SLAVE }, AT.EMPTY_PATH);
      moveMount(tree, "", AT.FDCWD, this.exported, MOVE_MOUNT.F_EMPTY_PATH);
    } finally {
      closeFd(tree);
    }
    // not part of what a container sees that has all of the host's files
    mount("", this.path, "", MS.UNBINDABLE);
  }

  /** Binds onto a new file or folder. Whatever is to be special about it has to be before it is there, and seen. */
  #bind(containerId: string, bind: Omit<SharedMount, "destination"> & { readonly target: string }): void {
    const { source, target, readonly, recursive = false, follows = false } = bind;
    if (statAt(AT.FDCWD, source).type === S.IFDIR) makeFolder(target, 0o750);
    else mknodAt(AT.FDCWD, target, S.IFREG | 0o640);
    this.#remember(containerId, target);
    const all = recursive ? AT.RECURSIVE : 0;
    const tree = openTree(AT.FDCWD, source, OPEN_TREE.CLONE | all);
    try {
      if (readonly) mountSetattr(tree, "", { set: MOUNT_ATTR.RDONLY }, AT.EMPTY_PATH);
      // Of the host's mounts at the most a follower: nothing that is mounted or unmounted here reaches the host.
      const propagation = follows ? MS.SLAVE : MS.PRIVATE;
      mountSetattr(tree, "", { propagation }, AT.EMPTY_PATH | all);
      moveMount(tree, "", AT.FDCWD, target, MOVE_MOUNT.F_EMPTY_PATH);
    } finally {
      closeFd(tree);
    }
  }

  #remember(containerId: string, path: string): void {
    const added = this.#added.get(containerId);
    if (added) added.push(path);
    else this.#added.set(containerId, [path]);
  }
}

/**
 * Takes a shared folder away, whatever state it is in, from its path alone: mounts of this mount namespace, then the
 * empty folders. Never reaches into what is mounted. Safe to call again.
 */
export function removeSharedFolder(path: string): void {
  detachBelow(path);
  removeTree(path);
}

/** The permissions hold whatever the umask is. */
function makeFolder(path: string, mode: number): void {
  mkdirAt(AT.FDCWD, path, mode);
  fchmodAt(AT.FDCWD, path, mode);
}

/** Removes a mount point: an empty file or folder. */
function removeEmpty(path: string): void {
  try {
    const isFolder = statAt(AT.FDCWD, path, AT.SYMLINK_NOFOLLOW).type === S.IFDIR;
    unlinkAt(AT.FDCWD, path, isFolder ? AT.REMOVEDIR : 0);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

function randomHex(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** The last part of a path, cut to a length that fits into a file name. */
function labelOf(path: string): string {
  const name = path.replace(/\/+$/, "").split("/").at(-1) || "root";
  const bytes = new TextEncoder().encode(name);
  return bytes.length <= MAX_LABEL ? name : name.slice(0, Math.floor(MAX_LABEL / 4));
}

/** Calls of the kernel that do not wait, in the form of those that do. */
function promised<T>(action: () => T): Promise<T> {
  return new Promise((resolve) => resolve(action()));
}
