/**
 * What a folder has in it, so that it can be compared with what it had, and copied.
 *
 * @module
 */

import { isErrno } from "./errors.ts";
import { O, openat2, openFd, OwnedFd, RESOLVE } from "./fd.ts";

/** A file, folder or link; whatever else is in a folder is left out. */
export interface TreeEntry {
  /** below the folder; "" is the folder itself */
  readonly path: string;
  readonly kind: "file" | "folder" | "link";
  /** with the kind's bits */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** of a file, in bytes */
  readonly size: number;
  /** what a link says */
  readonly target: string;
  /** changes with whatever else makes it another file */
  readonly stamp: string;
}

/** How much is looked at. */
export interface TreeLimits {
  readonly files: number;
  /** files, folders and links */
  readonly entries: number;
  /** of all files, in bytes */
  readonly bytes: number;
  /** folders in folders */
  readonly depth: number;
}

/** There is more in a folder than the limits let pass. */
export class TreeTooLarge extends Error {}

/** A file is not what it was when the folder was looked at. */
export class TreeChanged extends Error {}

/** How what is in a folder is reached. Each call gives a path that is good until it is disposed of. */
export interface TreeAccess {
  /** To something, or to the link that it is. */
  place(root: string, path: string): Place;
  /** To the content of a file or folder. */
  inside(root: string, path: string): Place;
}

interface Place extends Disposable {
  readonly path: string;
}

/** By its path: nothing blocks, as a folder may be on a file system that another machine serves. */
export const BY_PATH: TreeAccess = {
  place: (root, path) => ({ path: path === "" ? root : `${root}/${path}`, [Symbol.dispose]: () => {} }),
  inside: (root, path) => BY_PATH.place(root, path),
};

/**
 * No link is followed below the folder, whenever it was put there: for folders that others write to who must not learn
 * what is elsewhere.
 */
export const CONFINED: TreeAccess = {
  place(root, path) {
    if (path === "") return BY_PATH.place(root, path);
    const at = path.lastIndexOf("/");
    const { path: above, ...rest } = descriptor(openBelow(root, path.slice(0, Math.max(at, 0))));
    return { path: `${above}/${path.slice(at + 1)}`, ...rest };
  },
  inside: (root, path) => descriptor(openBelow(root, path)),
};

function descriptor(fd: OwnedFd): Place {
  return { path: `/proc/self/fd/${fd.fd}`, [Symbol.dispose]: () => fd.close() };
}

/** @throws {TreeChanged} there is a link on the way */
function openBelow(root: string, path: string): OwnedFd {
  const top = new OwnedFd(openFd(root, O.PATH));
  if (path === "") return top;
  try {
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
    return new OwnedFd(openat2(top.fd, path, { flags: O.PATH, resolve }));
  } catch (error) {
    if (!isErrno(error, "ELOOP", "ENOENT", "ENOTDIR")) throw error;
    throw new TreeChanged(error.message, { cause: error });
  } finally {
    top.close();
  }
}

/** The link that says which version of a volume is the present one, in volumes that Kubernetes' node agent writes. */
export const PRESENT_VERSION = "..data";

/**
 * Looks at everything, links not followed: a folder comes before what is in it.
 *
 * @throws {TreeTooLarge}
 * @throws {TreeChanged} something went away meanwhile
 */
export async function treeSnapshot(
  root: string,
  limits: TreeLimits,
  access: TreeAccess = BY_PATH,
): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const left = { ...limits };
  const visit = async (path: string, depth: number): Promise<void> => {
    const entry = await lookAt(root, path, access);
    if (entry === undefined) return;
    if (--left.entries < 0) throw tooLarge(root, "entries", limits.entries);
    if (entry.kind === "file" && --left.files < 0) throw tooLarge(root, "files", limits.files);
    if ((left.bytes -= entry.size) < 0) throw tooLarge(root, "bytes", limits.bytes);
    entries.push(entry);
    if (entry.kind !== "folder") return;
    if (depth === 0) throw tooLarge(root, "folders in each other", limits.depth);
    for (const name of await namesIn(root, path, access)) {
      await visit(path === "" ? name : `${path}/${name}`, depth - 1);
    }
  };
  await unlessGone(() => visit("", limits.depth));
  if (!isWhole(entries)) throw new TreeChanged(`"${root}" is being changed`);
  return entries;
}

/** Whether two snapshots show the same. */
export function isSameTree(one: readonly TreeEntry[], other: readonly TreeEntry[]): boolean {
  return one.length === other.length && JSON.stringify(one) === JSON.stringify(other);
}

/** In the order in which a copy has to be made: the link that makes a new version the present one comes last. */
export function inCopyOrder(entries: readonly TreeEntry[]): TreeEntry[] {
  const rank = ({ kind, path }: TreeEntry) =>
    kind === "folder" ? 0 : kind === "file" ? 1 : path === PRESENT_VERSION ? 3 : 2;
  return entries.toSorted((one, other) => rank(one) - rank(other));
}

/** Reads a file piece by piece; an empty one has one empty piece. @throws {TreeChanged} */
export async function* filePieces(
  root: string,
  entry: TreeEntry,
  pieceBytes: number,
  access: TreeAccess = BY_PATH,
): AsyncGenerator<{ offset: number; data: Uint8Array<ArrayBuffer> }> {
  const changed = () => new TreeChanged(`"${root}/${entry.path}" is being changed`);
  using file = await unlessGone(async () => {
    using at = access.inside(root, entry.path);
    // to open what is not a file may take for ever
    if (!(await Deno.stat(at.path)).isFile) throw changed();
    return await Deno.open(at.path);
  });
  // a link may be in its place by now
  if (stampOf(await file.stat()) !== entry.stamp) throw changed();
  let offset = 0;
  do {
    const data = new Uint8Array(Math.min(pieceBytes, entry.size - offset));
    for (let filled = 0; filled < data.length;) {
      const count = await file.read(data.subarray(filled));
      if (count === null) throw changed();
      filled += count;
    }
    yield { offset, data };
    offset += data.length;
  } while (offset < entry.size);
}

/** The present version has to be there; it is not for as long as a new one is being made. */
function isWhole(entries: readonly TreeEntry[]): boolean {
  const present = entries.find(({ path }) => path === PRESENT_VERSION);
  return present?.kind !== "link" || present.target.includes("/") ||
    entries.some(({ path, kind }) => path === present.target && kind === "folder");
}

async function lookAt(root: string, path: string, access: TreeAccess): Promise<TreeEntry | undefined> {
  using at = access.place(root, path);
  // the folder itself may be found through links
  const info = path === "" ? await Deno.stat(at.path) : await Deno.lstat(at.path);
  const kind = info.isFile ? "file" : info.isDirectory ? "folder" : info.isSymlink ? "link" : undefined;
  if (kind === undefined) return undefined;
  const { mode, uid, gid } = info;
  return {
    path,
    kind,
    mode: mode ?? 0,
    uid: uid ?? 0,
    gid: gid ?? 0,
    size: kind === "file" ? info.size : 0,
    target: kind === "link" ? await linkTarget(at.path) : "",
    // what is in a folder is told by what is in it
    stamp: kind === "folder" ? "" : stampOf(info),
  };
}

async function linkTarget(path: string): Promise<string> {
  try {
    return await Deno.readLink(path);
  } catch (error) {
    // it is none any more
    if (!(error instanceof TypeError)) throw error;
    throw new TreeChanged(error.message, { cause: error });
  }
}

function stampOf({ dev, ino, size, mtime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${size}:${mtime?.getTime()}`;
}

async function namesIn(root: string, path: string, access: TreeAccess): Promise<string[]> {
  const names: string[] = [];
  using at = access.inside(root, path);
  for await (const { name } of Deno.readDir(at.path)) names.push(name);
  return names.sort();
}

async function unlessGone<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const isGone = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
    if (error instanceof Error && (isGone || isErrno(error, "ENOENT"))) {
      throw new TreeChanged(error.message, { cause: error });
    }
    throw error;
  }
}

function tooLarge(root: string, what: string, limit: number): TreeTooLarge {
  return new TreeTooLarge(`"${root}" has more than ${limit} ${what}`);
}
