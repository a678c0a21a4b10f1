/** The root file system of a container on the host: the mounts that a snapshotter asks for. */

import { bindAttributes, type MountOptions, parseMountOptions } from "../oci/mount_options.ts";
import { SysError } from "../sys/errors.ts";
import { AT, O, openat2, openFd, OwnedFd, RESOLVE } from "../sys/fd.ts";
import { mount, mountSetattr, MOVE_MOUNT, moveMount, MS, OPEN_TREE, openTree } from "../sys/mount.ts";
import { commonFolder, fits, MAX_DATA_BYTES, renameFolder } from "./overlay.ts";
import { detachBelow } from "./unmount.ts";

/** One mount, in containerd's form. */
export interface RootfsMount {
  /** "overlay", "bind", "ext4", … */
  readonly type: string;
  readonly source: string;
  /** below the root; "" is the root itself */
  readonly target?: string;
  /** as of mount(8) */
  readonly options: readonly string[];
}

/** A mounted root file system. Disposing of it takes the mounts away. */
export interface Rootfs extends AsyncDisposable {
  readonly path: string;
}

/**
 * Mounts in the order of the list; makes the folder if it is missing.
 *
 * @param path `<bundle>/rootfs`
 * @throws {Error} a sentence that names the mount; what was mounted is taken away again
 */
export function mountRootfs(path: string, mounts: readonly RootfsMount[]): Promise<Rootfs> {
  return new Promise((resolve) => {
    Deno.mkdirSync(path, { recursive: true, mode: 0o711 });
    try {
      for (const entry of mounts) mountOne(path, entry);
    } catch (error) {
      unmountRootfs(path);
      throw error;
    }
    resolve({ path, [Symbol.asyncDispose]: () => Promise.resolve(unmountRootfs(path)) });
  });
}

/** Takes away everything that is mounted on a folder and below it. Safe to call again, and from a fresh process. */
export function unmountRootfs(path: string): void {
  detachBelow(path);
}

function mountOne(root: string, entry: RootfsMount): void {
  const { type, source, target = "" } = entry;
  const what = `${type} "${source}" on "${target === "" ? root : `${root}/${target}`}"`;
  const options = parseMountOptions(entry.options);
  if (options.extensions.length > 0) {
    throw new Error(`cannot mount ${what}: option "${options.extensions[0]}" is not supported`);
  }
  const mapped = options.data.find((option) => /^[ug]idmap=/.test(option));
  if (mapped !== undefined) {
    const why = `its files are to have other owners ("${mapped}")`;
    throw new Error(`cannot mount ${what}: ${why}, and pods with a user namespace are not supported`);
  }
  try {
    if (options.bind || type === "bind") bindAt(root, target, source, options);
    else mountAt(root, target, entry, options);
  } catch (error) {
    if (error instanceof SysError) throw new Error(`cannot mount ${what}: ${error.code}`, { cause: error });
    throw error;
  }
}

/** A copy of the source's mount, changed before anybody can see it. */
function bindAt(root: string, target: string, source: string, options: MountOptions): void {
  const recursive = options.recursiveBind ? AT.RECURSIVE : 0;
  using tree = new OwnedFd(openTree(AT.FDCWD, source, OPEN_TREE.CLONE | recursive));
  const { set, clear } = bindAttributes(options);
  mountSetattr(tree.fd, "", { set, clear }, AT.EMPTY_PATH);
  using place = openPlace(root, target);
  moveMount(tree.fd, "", place.fd, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH);
  setPropagation(root, target, options);
}

function mountAt(root: string, target: string, { type, source }: RootfsMount, options: MountOptions): void {
  using taken = new DisposableStack();
  let { data } = options;
  const folder = fits(data) ? undefined : commonFolder(data);
  if (folder !== undefined) {
    const fd = taken.use(new OwnedFd(openFd(folder, O.PATH | O.DIRECTORY))).fd;
    data = renameFolder(data, folder, `/proc/self/fd/${fd}`);
  }
  if (!fits(data)) {
    throw new Error(`the options of ${type} "${source}" have more than ${MAX_DATA_BYTES} bytes`);
  }
  const place = taken.use(openPlace(root, target));
  mount(source, `/proc/self/fd/${place.fd}`, type, options.flags, data.join(","));
  setPropagation(root, target, options);
}

/** Opened again, as the earlier descriptor stands for what is now covered. */
function setPropagation(root: string, target: string, { propagation }: MountOptions): void {
  if (propagation.length === 0) return;
  using place = openPlace(root, target);
  for (const { type, recursive } of propagation) {
    mount("", `/proc/self/fd/${place.fd}`, "", type | (recursive ? MS.REC : 0));
  }
}

/** The place of a mount, resolved by the kernel inside the root: a layer may have links. */
function openPlace(root: string, target: string): OwnedFd {
  using folder = new OwnedFd(openFd(root, O.PATH | O.DIRECTORY));
  if (target === "") return new OwnedFd(folder.release());
  return new OwnedFd(openat2(folder.fd, target, { flags: O.PATH, resolve: RESOLVE.IN_ROOT }));
}
