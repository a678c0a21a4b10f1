import { isErrno } from "../sys/errors.ts";
import { AT, O, openat2, OwnedFd, RESOLVE, S } from "../sys/fd.ts";
import { fchmodAt, fchmodFd, fchownAt, mkdirAt, renameAt, statAt, statFd, symlinkAt } from "../sys/file.ts";
import { syscall } from "../sys/syscall.ts";
import type { CopyFileRequest } from "../rpc/gen/agent_pb.ts";
import { invalidArgument } from "./errors.ts";
import { namesBelow, openBeneath, pathOf } from "./storage/beneath.ts";
import { removeTree } from "./storage/tree.ts";

/** A file under construction lies beside its place, under a name that the host cannot ask for by accident. */
const UNFINISHED = ".kata-copy";
const PERMISSIONS = 0o7777;

/**
 * Makes a file, folder or link that the host sends, for hosts that share no folder with the guest.
 *
 * A file may come in pieces, in order; it appears under its name when the last one has come. No symbolic link is
 * followed on the way.
 *
 * @param base folder that the path must be below
 * @throws {RpcError} `InvalidArgument` for a path elsewhere, or sizes that make no sense
 */
export function copyFile(request: CopyFileRequest, base: string): void {
  const names = namesBelow(base, request.path, "the path of a file to copy");
  const name = names.at(-1);
  if (name === undefined) throw invalidArgument(`"${request.path}" is the folder itself`);
  using parent = makeParents(base, names.slice(0, -1), request);
  switch (request.fileMode & S.IFMT) {
    case S.IFDIR:
      return makeFolder(parent.fd, name, request);
    case S.IFLNK:
      return makeLink(parent.fd, name, request);
    case 0:
    case S.IFREG:
      return writePiece(parent.fd, name, request);
    default:
      throw invalidArgument(
        `"${request.path}" must be a file, folder or link: its mode is 0${request.fileMode.toString(8)}`,
      );
  }
}

/** The folder that it goes into; if that is missing it is made, and gets the request's `dir_mode` and owner. */
function makeParents(base: string, names: readonly string[], request: CopyFileRequest): OwnedFd {
  let folder = openBeneath(base, [], O.PATH | O.DIRECTORY);
  for (const [index, name] of names.entries()) {
    using above = folder;
    const made = ifNotThere(() => mkdirAt(above.fd, name, 0o755));
    folder = openFolder(above.fd, name);
    if (made && index === names.length - 1) setOwnerAndMode(folder.fd, request, request.dirMode);
  }
  return folder;
}

function openFolder(parent: number, name: string): OwnedFd {
  const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
  return new OwnedFd(openat2(parent, name, { flags: O.PATH | O.DIRECTORY, resolve }));
}

function makeFolder(parent: number, name: string, request: CopyFileRequest): void {
  if (typeOf(parent, name) !== S.IFDIR) removeTree(parent, name);
  ifNotThere(() => mkdirAt(parent, name, 0o755));
  using folder = openFolder(parent, name);
  setOwnerAndMode(folder.fd, request, request.fileMode);
}

/** A link takes the place of another in one step: whoever follows it finds the one or the other. */
function makeLink(parent: number, name: string, request: CopyFileRequest): void {
  const unfinished = `${name}${UNFINISHED}`;
  removeTree(parent, unfinished);
  symlinkAt(new TextDecoder().decode(request.data), parent, unfinished);
  fchownAt(parent, unfinished, request.uid, request.gid, AT.SYMLINK_NOFOLLOW);
  if (typeOf(parent, name) === S.IFDIR) removeTree(parent, name);
  renameAt(parent, unfinished, parent, name);
}

function writePiece(parent: number, name: string, request: CopyFileRequest): void {
  const end = request.offset + BigInt(request.data.length);
  if (request.offset < 0n || end > request.fileSize) {
    throw invalidArgument(
      `${request.data.length} bytes at ${request.offset} are not inside the ${request.fileSize} bytes of "${request.path}"`,
    );
  }
  const unfinished = `${name}${UNFINISHED}`;
  using file = request.offset === 0n ? newFile(parent, unfinished) : sameFile(parent, unfinished);
  writeAt(file.fd, request.data, Number(request.offset));
  if (BigInt(statFd(file.fd).size) < request.fileSize) return;
  // The owner first: a change of owner clears set-id bits.
  fchownAt(file.fd, "", request.uid, request.gid, AT.EMPTY_PATH);
  fchmodFd(file.fd, request.fileMode & PERMISSIONS);
  if (typeOf(parent, name) === S.IFDIR) removeTree(parent, name);
  renameAt(parent, unfinished, parent, name);
}

/** Whatever lies there, even a pipe that nobody reads, has been left or planted. */
function newFile(parent: number, name: string): OwnedFd {
  removeTree(parent, name);
  const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
  return new OwnedFd(openat2(parent, name, { flags, mode: 0o600, resolve: RESOLVE.BENEATH }));
}

/** The file of the pieces before this one. */
function sameFile(parent: number, name: string): OwnedFd {
  const flags = O.WRONLY | O.NOFOLLOW | O.NONBLOCK;
  const file = new OwnedFd(openat2(parent, name, { flags, resolve: RESOLVE.BENEATH }));
  if (statFd(file.fd).type === S.IFREG) return file;
  file.close();
  throw invalidArgument(`"${name}" is no file any more`);
}

function writeAt(fd: number, data: Uint8Array, offset: number): void {
  for (let done = 0; done < data.length;) {
    const rest = data.subarray(done);
    done += syscall("pwrite64", [fd, rest, rest.length, offset + done], String(fd));
  }
}

function setOwnerAndMode(fd: number, request: CopyFileRequest, mode: number): void {
  fchownAt(fd, "", request.uid, request.gid, AT.EMPTY_PATH);
  fchmodAt(AT.FDCWD, pathOf(fd), mode & PERMISSIONS);
}

function typeOf(parent: number, name: string): number | undefined {
  try {
    return statAt(parent, name, AT.SYMLINK_NOFOLLOW).type;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Whether it was made by this call. */
function ifNotThere(make: () => void): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}
