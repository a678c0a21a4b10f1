/**
 * Writing cpio archives in the "newc" format, which the kernel unpacks an initrd from.
 *
 * The same entries always give the same bytes: sorted by path, one modification time, owner root, inodes
 * counted from 1. See the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.
 *
 * @module
 */

/** Something in an archive; paths are relative, without a leading `/`. */
export type CpioEntry =
  | { kind: "directory"; path: string; mode?: number }
  | { kind: "file"; path: string; data: Uint8Array; mode?: number }
  | { kind: "symlink"; path: string; target: string }
  | { kind: "device"; path: string; mode?: number; major: number; minor: number };

const TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000, device: 0o020000 } as const;
const DEFAULT_MODE = { directory: 0o755, file: 0o644, symlink: 0o777, device: 0o600 } as const;
const MAGIC = "070701";
const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";
/** Archives are padded to this, as other tools do. */
const BLOCK_BYTES = 512;
/** Sizes are eight hexadecimal digits. */
const LARGEST_FILE = 0xffffffff;

interface Member {
  mode: number;
  links: number;
  path: string;
  data: Uint8Array;
  major: number;
  minor: number;
}

/**
 * Packs entries, parents before children, adding parent folders that are not given.
 *
 * @throws {RangeError} for a path that is absolute, has empty, `.` or `..` parts, or occurs twice
 */
export function encodeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const members = withParents(entries).map(toMember);
  members.push({ mode: 0, links: 1, path: TRAILER, data: new Uint8Array(), major: 0, minor: 0 });

  const encoder = new TextEncoder();
  const paths = members.map((member) => encoder.encode(member.path + "\0"));
  const sizeOf = (member: Member, i: number): number =>
    align4(HEADER_BYTES + (paths[i]?.length ?? 0)) + align4(member.data.length);
  const size = members.reduce((sum, member, i) => sum + sizeOf(member, i), 0);

  const archive = new Uint8Array(Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES);
  let at = 0;
  members.forEach((member, i) => {
    const path = paths[i] as Uint8Array;
    const inode = member.path === TRAILER ? 0 : i + 1;
    archive.set(encoder.encode(header(member, inode, path.length)), at);
    archive.set(path, at + HEADER_BYTES);
    archive.set(member.data, at + align4(HEADER_BYTES + path.length));
    at += sizeOf(member, i);
  });
  return archive;
}

function header(member: Member, inode: number, pathSize: number): string {
  const fields = [
    inode,
    member.mode,
    0, // owner
    0, // group
    member.links,
    0, // modification time
    member.data.length,
    0, // device that holds the file
    0,
    member.major,
    member.minor,
    pathSize,
    0, // checksum, of another variant of the format
  ];
  return MAGIC + fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0")).join("");
}

function toMember(entry: CpioEntry): Member {
  const { kind, path } = entry;
  const mode = TYPE[kind] |
    (entry.kind === "symlink" ? DEFAULT_MODE.symlink : entry.mode ?? DEFAULT_MODE[kind]);
  const member = {
    mode,
    links: kind === "directory" ? 2 : 1,
    path,
    data: new Uint8Array(),
    major: 0,
    minor: 0,
  };
  switch (entry.kind) {
    case "file":
      if (entry.data.length > LARGEST_FILE) {
        throw new RangeError(`"${path}" is too large for an initrd: ${entry.data.length} bytes`);
      }
      return { ...member, data: entry.data };
    case "symlink":
      return { ...member, data: new TextEncoder().encode(entry.target) };
    case "device":
      return { ...member, major: entry.major, minor: entry.minor };
    case "directory":
      return member;
  }
}

function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const known = new Map<string, CpioEntry>();
  for (const entry of entries) {
    const parts = entry.path.split("/");
    if (parts.some((part) => part === "" || part === "." || part === "..")) {
      throw new RangeError(`"${entry.path}" is no path inside an archive`);
    }
    if (known.has(entry.path)) throw new RangeError(`"${entry.path}" is in the archive twice`);
    known.set(entry.path, entry);
  }
  for (const entry of entries) {
    const parts = entry.path.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const path = parts.slice(0, depth).join("/");
      if (!known.has(path)) known.set(path, { kind: "directory", path });
    }
  }
  return [...known.values()].sort((a, b) => comparePaths(a.path, b.path));
}

/** Part by part, so that a folder stands directly before what is in it. */
function comparePaths(a: string, b: string): number {
  const [x, y] = [a.replaceAll("/", "\0"), b.replaceAll("/", "\0")];
  return x < y ? -1 : x > y ? 1 : 0;
}

function align4(n: number): number {
  return (n + 3) & ~3;
}
