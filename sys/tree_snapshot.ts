/**
 * What a folder has in it, so that it can be compared with what it had, and copied.
 *
 * Nothing here blocks: a folder may be on a file system that another machine serves.
 *
 * @module
 */

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

/** The link that says which version of a volume is the present one, in volumes that Kubernetes' node agent writes. */
export const PRESENT_VERSION = "..data";

/**
 * Looks at everything, links not followed: a folder comes before what is in it.
 *
 * @throws {TreeTooLarge}
 * @throws {TreeChanged} something went away meanwhile
 */
export async function treeSnapshot(root: string, limits: TreeLimits): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const left = { ...limits };
  const visit = async (path: string, depth: number): Promise<void> => {
    const entry = await lookAt(root, path);
    if (entry === undefined) return;
    if (--left.entries < 0) throw tooLarge(root, "entries", limits.entries);
    if (entry.kind === "file" && --left.files < 0) throw tooLarge(root, "files", limits.files);
    if ((left.bytes -= entry.size) < 0) throw tooLarge(root, "bytes", limits.bytes);
    entries.push(entry);
    if (entry.kind !== "folder") return;
    if (depth === 0) throw tooLarge(root, "folders in each other", limits.depth);
    for (const name of await namesIn(place(root, path))) {
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
): AsyncGenerator<{ offset: number; data: Uint8Array<ArrayBuffer> }> {
  using file = await unlessGone(() => Deno.open(place(root, entry.path)));
  const changed = () => new TreeChanged(`"${place(root, entry.path)}" is being changed`);
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

async function lookAt(root: string, path: string): Promise<TreeEntry | undefined> {
  const at = place(root, path);
  // the folder itself may be found through links
  const info = path === "" ? await Deno.stat(at) : await Deno.lstat(at);
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
    target: kind === "link" ? await Deno.readLink(at) : "",
    // what is in a folder is told by what is in it
    stamp: kind === "folder" ? "" : stampOf(info),
  };
}

function stampOf({ dev, ino, size, mtime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${size}:${mtime?.getTime()}`;
}

async function namesIn(path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(path)) names.push(name);
  return names.sort();
}

function place(root: string, path: string): string {
  return path === "" ? root : `${root}/${path}`;
}

async function unlessGone<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      throw new TreeChanged(error.message, { cause: error });
    }
    throw error;
  }
}

function tooLarge(root: string, what: string, limit: number): TreeTooLarge {
  return new TreeTooLarge(`"${root}" has more than ${limit} ${what}`);
}
