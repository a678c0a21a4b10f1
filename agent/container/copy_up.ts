/**
 * `tmpcopyup`: a tmpfs that begins with what its mount point has in it. The file system is made and filled by the
 * agent, while the container's first process waits in front of it; files are reached by descriptors alone.
 */

import type { Spec } from "../../oci/spec.ts";
import { bindAttributes, copiesUp, parseMountOptions } from "../../oci/mount_options.ts";
import { isErrno } from "../../sys/errors.ts";
import {
  AT,
  fchmodAt,
  fchownAt,
  mkdirAt,
  mknodAt,
  O,
  openAt,
  openat2,
  openFd,
  OwnedFd,
  readFd,
  readlinkAt,
  RESOLVE,
  S,
  type Stat,
  statAt,
  symlinkAt,
  writeFd,
} from "../../sys/fd.ts";
import { readFolder } from "../../sys/folder.ts";
import { StepError } from "../../sys/program.ts";
import { cstr, syscall } from "../../sys/syscall.ts";
import { outsideId, userOf } from "./plan/ids.ts";
import type { MountFacts, NamespaceChoices } from "./plan/input.ts";
import type { CopyUp } from "./plan/mounts.ts";

const FSOPEN_CLOEXEC = 1, FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0, FSCONFIG_SET_STRING = 1, FSCONFIG_CMD_CREATE = 6;
/** Deeper trees would use up descriptors. */
const MAX_DEPTH = 200;
const CHUNK_BYTES = 1 << 20;
/** Yields to other work after so many files. */
const FILES_PER_TURN = 64;

/** File systems by index of the mount, not attached anywhere. */
export interface FreshFilesystems extends Disposable {
  readonly byMount: ReadonlyMap<number, { readonly fd: number }>;
}

/**
 * Makes the file systems that mounts ask for.
 *
 * @param facts of the mounts
 * @throws {StepError} `make tmpfs for /x: EINVAL`
 */
export function makeFresh(
  { mounts = [] }: Spec,
  facts: readonly MountFacts[],
  namespaces: NamespaceChoices,
): FreshFilesystems {
  using taken = new DisposableStack();
  const byMount = new Map<number, OwnedFd>();
  for (const [index, { destination, options = [] }] of mounts.entries()) {
    if (!copiesUp(options)) continue;
    const { data, flags, cleared } = parseMountOptions(options);
    const { set } = bindAttributes({ flags: flags & ~1, cleared });
    const defaults = [`mode=${(facts[index]?.mode ?? 0o755).toString(8)}`, ...ownerOf(namespaces)];
    const fd = reporting(`make tmpfs for ${destination}`, () => makeTmpfs([...defaults, ...data], set));
    byMount.set(index, taken.use(fd));
  }
  const made = taken.move();
  return { byMount, [Symbol.dispose]: () => made.dispose() };
}

/** The file system is the agent's; what is in it belongs to the container's root. */
function ownerOf(namespaces: NamespaceChoices): string[] {
  const user = userOf(namespaces);
  return user ? [`uid=${outsideId(user.uids, 0)}`, `gid=${outsideId(user.gids, 0)}`] : [];
}

function makeTmpfs(options: readonly string[], attributes: number): OwnedFd {
  using taken = new DisposableStack();
  const context = taken.use(new OwnedFd(syscall("fsopen", [cstr("tmpfs"), FSOPEN_CLOEXEC])));
  for (const option of options) {
    const at = option.indexOf("=");
    const [key, value] = at < 0 ? [option, null] : [option.slice(0, at), cstr(option.slice(at + 1))];
    const command = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
    syscall("fsconfig", [context.fd, command, cstr(key), value, 0], option);
  }
  syscall("fsconfig", [context.fd, FSCONFIG_CMD_CREATE, null, null, 0]);
  const mount = new OwnedFd(syscall("fsmount", [context.fd, FSMOUNT_CLOEXEC, attributes]));
  taken.dispose();
  return mount;
}

/**
 * Fills a file system with what its mount point has in it now.
 *
 * @param pid the process that waits; its root is the container's
 * @throws {StepError} `copy /x: ENOSPC`
 */
export async function fill({ path, destination, fd }: CopyUp, pid: number): Promise<void> {
  using taken = new DisposableStack();
  const open = () => {
    const root = taken.use(new OwnedFd(openFd(`/proc/${pid}/root`, O.PATH | O.DIRECTORY)));
    const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
    return taken.use(new OwnedFd(openat2(root.fd, path, { flags: O.RDONLY | O.DIRECTORY, resolve })));
  };
  const name = `copy ${destination}`;
  const from = reporting(name, open);
  let count = 0;
  for (const copy of copies(from.fd, fd, 0)) {
    reporting(name, copy);
    if (++count % FILES_PER_TURN === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** One piece of work for each file. The descriptors are used until the last one is done. */
function* copies(from: number, to: number, depth: number): Generator<() => void> {
  if (depth > MAX_DEPTH) throw new Error(`folders are nested more than ${MAX_DEPTH} times`);
  for (const { name } of readFolder(from)) {
    const stat = statAt(from, name, AT.SYMLINK_NOFOLLOW);
    if (stat.type !== S.IFDIR) {
      yield () => copyFile(from, to, name, stat);
      continue;
    }
    yield () => mkdirAt(to, name, 0o700);
    using taken = new DisposableStack();
    const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
    const [inner, outer] = [openAt(from, name, flags), openAt(to, name, flags)].map((fd) =>
      taken.use(new OwnedFd(fd)).fd
    );
    yield* copies(inner ?? -1, outer ?? -1, depth + 1);
    yield () => finish(to, name, stat);
    taken.dispose();
  }
}

function copyFile(from: number, to: number, name: string, stat: Stat): void {
  switch (stat.type) {
    case S.IFLNK:
      symlinkAt(readlinkAt(from, name), to, name);
      return fchownAt(to, name, stat.uid, stat.gid, AT.SYMLINK_NOFOLLOW);
    case S.IFREG:
      copyContent(from, to, name);
      break;
    case S.IFCHR:
    case S.IFBLK:
    case S.IFIFO:
      mknodAt(to, name, stat.type | 0o600, stat.rdev);
      break;
    default:
      // A socket is of no use without who listens on it.
      return;
  }
  finish(to, name, stat);
}

function copyContent(from: number, to: number, name: string): void {
  using taken = new DisposableStack();
  const source = taken.use(new OwnedFd(openAt(from, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK)));
  const target = taken.use(new OwnedFd(openAt(to, name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o600)));
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let count; (count = readFd(source.fd, buffer)) > 0;) {
    for (let at = 0; at < count;) at += writeFd(target.fd, buffer.subarray(at, count));
  }
}

/** The owner first: a change of it clears bits of the mode. */
function finish(to: number, name: string, { uid, gid, mode }: Stat): void {
  fchownAt(to, name, uid, gid, AT.SYMLINK_NOFOLLOW);
  fchmodAt(to, name, mode);
}

function reporting<T>(name: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (isErrno(error)) throw new StepError(name, error.errno);
    throw error;
  }
}

/** What is known of mounts, with their file systems. */
export function withFresh(
  mounts: readonly MountFacts[],
  byMount: ReadonlyMap<number, { readonly fd: number }>,
): readonly MountFacts[] {
  return mounts.map((facts, index) => {
    const fresh = byMount.get(index);
    return fresh ? { ...facts, fresh } : facts;
  });
}
