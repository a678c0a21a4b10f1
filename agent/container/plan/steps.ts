/**
 * The vocabulary that plans of containers are written in, on top of a syscall program.
 *
 * All paths here are the container's, and are walked by the kernel while the container's root is the child's
 * root: links and `..` cannot lead out of it. Links that are none (`/proc/self/fd/3`, `/proc/1/root`) could,
 * by way of descriptors or other processes, so they are refused. What is found is held by a descriptor and
 * used through it.
 */

import { AT, O, RESOLVE, S } from "../../../sys/fd.ts";
import { type Data, Program, type ProgramArg, type Slot, u32 } from "../../../sys/program.ts";

/** Magic number of proc (linux/magic.h). */
const PROC_MAGIC = 0x9fa0;
const OPEN_HOW_SIZE = 24;
const MOUNT_ATTR_SIZE = 32;
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

/** Flags of open_tree(2), fsopen(2), fsmount(2), move_mount(2) (linux/mount.h). */
const OPEN_TREE_CLONE = 1;
const MOVE_TO_FD = 0x04 | 0x40; // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH

const FSOPEN_CLOEXEC = 1, FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0, FSCONFIG_SET_STRING = 1, FSCONFIG_CMD_CREATE = 6;

/** A file system to be made. */
export interface Filesystem {
  readonly type: string;
  readonly source?: string;
  /** `name` or `name=value` */
  readonly options: readonly string[];
  /** MOUNT_ATTR_* */
  readonly attributes: number;
}

/** Flags for descriptors that only name a path. */
export const PLACE = O.PATH | O.CLOEXEC;

/** What mount_setattr(2) is asked for. */
export interface MountAttributes {
  /** user namespace whose mappings are applied */
  readonly idmap?: number;
  readonly set?: number;
  readonly clear?: number;
  readonly propagation?: number;
  readonly recursive?: boolean;
}

/** A program under construction, and the steps that are made of several calls. */
export class Steps {
  readonly program = new Program();
  /** Where something is to be attached or made. */
  readonly target: Slot = this.program.slot("target");
  readonly #parent = this.program.slot("parent");
  readonly #hows = new Map<string, Data>();
  readonly #attributes = new Map<string, Data>();
  readonly #slots = new Map<string, number>();
  #statfs: { buffer: Data; type: Slot } | undefined;
  #stat: { buffer: Data; mode: Slot; major: Slot; minor: Slot } | undefined;

  /** A new cell; its name gets a number when it is taken. */
  slot(name: string): Slot {
    const count = (this.#slots.get(name) ?? 0) + 1;
    this.#slots.set(name, count);
    return this.program.slot(count === 1 ? name : `${name} ${count}`);
  }

  /** The arguments of openat2(2) for a path of the container. */
  openArguments(path: string, flags: number, resolve: number = RESOLVE.NO_MAGICLINKS): ProgramArg[] {
    const key = `${flags} ${resolve}`;
    let how = this.#hows.get(key);
    if (how === undefined) this.#hows.set(key, how = this.program.struct([flags, 0, resolve]));
    return [AT.FDCWD, this.program.cstring(path), how, OPEN_HOW_SIZE];
  }

  /** Closes a descriptor that a cell holds. */
  close(slot: Slot): void {
    this.program.step(`close ${slot.name}`, "close", [slot]);
  }

  /**
   * Opens a folder, which is made, with its parents, where it is missing.
   *
   * @param what names the folder in messages: "mount point"
   * @returns `target`, which holds the descriptor
   */
  folder(path: string, what: string, resolve?: number): Slot {
    const open = this.openArguments(path, PLACE | O.DIRECTORY, resolve);
    this.#openOrMake(path, what, open, () => this.#makeFolders(split(path), what));
    return this.target;
  }

  /** As `folder`, for a file that something is bound on; what is there may be anything but a folder. */
  file(path: string, what: string): Slot {
    this.#openOrMake(path, what, this.openArguments(path, PLACE), () => {
      const names = split(path);
      const name = names.pop() ?? "";
      this.#makeFolders(names, what);
      this.#inFolder(names, what, (parent, entry) => {
        const args = [parent, this.program.cstring(entry(name)), S.IFREG | FILE_MODE, 0];
        this.program.step(`make ${what} ${path}`, "mknodat", args, { mayFail: ["EEXIST"] });
      });
    });
    return this.target;
  }

  #openOrMake(path: string, what: string, open: ProgramArg[], make: () => void): void {
    const there = this.program.label(`${path} is there`);
    const name = `open ${what} ${path}`;
    this.program.step(name, "openat2", open, { save: this.target, mayFail: ["ENOENT"], onSuccess: there });
    make();
    this.program.step(name, "openat2", open, { save: this.target });
    this.program.place(there);
  }

  #makeFolders(names: readonly string[], what: string): void {
    for (const [index, name] of names.entries()) {
      const path = `/${names.slice(0, index + 1).join("/")}`;
      this.#inFolder(names.slice(0, index), what, (parent, entry) => {
        const args = [parent, this.program.cstring(entry(name)), FOLDER_MODE];
        this.program.step(`make ${what} ${path}`, "mkdirat", args, { mayFail: ["EEXIST"] });
      });
    }
  }

  /**
   * Opens the folder for the steps of `make`; the root needs no opening, but its entries' paths begin with
   * `/`.
   */
  #inFolder(
    names: readonly string[],
    what: string,
    make: (parent: ProgramArg, entry: (name: string) => string) => void,
  ): void {
    if (names.length === 0) return make(AT.FDCWD, (name) => `/${name}`);
    const path = `/${names.join("/")}`;
    const open = this.openArguments(path, PLACE | O.DIRECTORY);
    this.program.step(`open ${what} ${path}`, "openat2", open, { save: this.#parent });
    make(this.#parent, (name) => name);
    this.close(this.#parent);
  }

  /** Makes a detached copy of a mount tree. `place` is a path of the old root, or a descriptor. */
  cloneTree(name: string, place: string | Slot, recursive: boolean, save: Slot): void {
    const flags = OPEN_TREE_CLONE | O.CLOEXEC | (recursive ? AT.RECURSIVE : 0);
    const args = typeof place === "string"
      ? [AT.FDCWD, this.program.cstring(place), flags]
      : [place, this.program.cstring(""), flags | AT.EMPTY_PATH];
    this.program.step(name, "open_tree", args, { save });
  }

  /** Attaches a detached mount where a descriptor stands. */
  attach(name: string, tree: Slot | number, at: Slot): void {
    const empty = this.program.cstring("");
    this.program.step(name, "move_mount", [tree, empty, at, empty, MOVE_TO_FD]);
  }

  /** Makes a file system that is not attached anywhere. */
  makeFilesystem(name: string, save: Slot, filesystem: Filesystem): void {
    const { program, target } = this;
    const { type, source, options, attributes } = filesystem;
    const text = (value: string) => program.cstring(value);
    program.step(`${name}: open`, "fsopen", [text(type), FSOPEN_CLOEXEC], { save: target });
    const source_ = source === undefined ? [] : [`source=${source}`];
    for (const option of [...source_, ...options]) {
      const [key = "", ...value] = option.split("=");
      const args = value.length === 0
        ? [target, FSCONFIG_SET_FLAG, text(key), 0, 0]
        : [target, FSCONFIG_SET_STRING, text(key), text(value.join("=")), 0];
      program.step(`${name}: set ${key}`, "fsconfig", args);
    }
    program.step(`${name}: create`, "fsconfig", [target, FSCONFIG_CMD_CREATE, 0, 0, 0]);
    program.step(name, "fsmount", [target, FSMOUNT_CLOEXEC, attributes], { save });
    this.close(target);
  }

  /**
   * Changes the attributes or the propagation of the mount that a descriptor stands for; nothing asked, no
   * step.
   */
  setAttributes(name: string, mount: Slot, attributes: MountAttributes): void {
    const { set = 0, clear = 0, propagation = 0, idmap = 0, recursive = false } = attributes;
    if ((set | clear | propagation) === 0) return;
    const key = `${set} ${clear} ${propagation} ${idmap}`;
    let struct = this.#attributes.get(key);
    if (struct === undefined) {
      struct = this.program.struct([set, clear, propagation, idmap]);
      this.#attributes.set(key, struct);
    }
    const flags = AT.EMPTY_PATH | (recursive ? AT.RECURSIVE : 0);
    const args = [mount, this.program.cstring(""), flags, struct, MOUNT_ATTR_SIZE];
    this.program.step(name, "mount_setattr", args);
  }

  /** Reads type and device number of a file into cells, which the next call of this method reuses. */
  stat(name: string, at: ProgramArg, path: string): { mode: Slot; major: Slot; minor: Slot } {
    const STATX_TYPE_AND_MODE = 3;
    this.#stat ??= this.#statBuffer();
    const flags = AT.SYMLINK_NOFOLLOW | (path === "" ? AT.EMPTY_PATH : 0);
    const args = [at, this.program.cstring(path), flags, STATX_TYPE_AND_MODE, this.#stat.buffer];
    this.program.step(name, "statx", args);
    return this.#stat;
  }

  /** Fails with ELOOP if a descriptor is of a place in a proc file system. */
  refuseProc(name: string, at: Slot): void {
    const { program } = this;
    const done = program.label(`${name}: done`);
    this.#statfs ??= this.#statfsBuffer();
    const { buffer, type } = this.#statfs;
    program.step(name, "fstatfs", [at, buffer]);
    program.expect(name, type, { equals: PROC_MAGIC, errno: "ENOENT" }, { onFailure: done });
    program.fail(name, "ELOOP");
    program.place(done);
  }

  /** struct statfs: the type at 0; 120 bytes in all. */
  #statfsBuffer() {
    const type = this.program.slot("file system type");
    return { buffer: this.program.struct([type, new Uint8Array(112)]), type };
  }

  /** struct statx: the 16-bit mode at 28 (the two bytes after it are zero), rdev at 128; 256 bytes in all. */
  #statBuffer() {
    const [mode, major, minor] = ["file mode", "device major", "device minor"]
      .map((name) => this.program.slot(name, 32)) as [Slot, Slot, Slot];
    const parts = [new Uint8Array(28), mode, new Uint8Array(96), major, minor, new Uint8Array(120)];
    return { buffer: this.program.struct(parts), mode, major, minor };
  }

  /** Writes a text to a file of the old root's /proc. */
  writeProcFile(name: string, path: string, text: string): void {
    const bytes = new TextEncoder().encode(text);
    const open = [AT.FDCWD, this.program.cstring(path), O.WRONLY | O.CLOEXEC, 0];
    this.program.step(name, "openat", open, { save: this.target });
    this.program.step(name, "write", [this.target, this.program.bytes(bytes), bytes.length]);
    this.close(this.target);
  }
}

/** The names in a path; empty ones and `.` are left out, `..` is left to the kernel. */
export function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** A list of 32-bit numbers as bytes. */
export function words(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  numbers.forEach((number, index) => bytes.set(u32(number), index * 4));
  return bytes;
}
