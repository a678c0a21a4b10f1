import { AT, O, openFd, OwnedFd, S } from "../../sys/fd.ts";
import { fchmodAt, fchownAt, majorOf, minorOf, statFd } from "../../sys/file.ts";
import { isErrno } from "../../sys/errors.ts";
import type { MountOptions } from "../../oci/mount_options.ts";
import type { Storage } from "../../rpc/gen/agent_pb.ts";
import { invalidArgument, unimplemented } from "../errors.ts";
import { makeFolderBeneath, namesBelow, openBeneath, pathOf } from "./beneath.ts";
import { reserveHugePages } from "./hugepages.ts";
import type { Attachment } from "./attach.ts";
import { optionValue, storageOptions } from "./options.ts";

/** What a driver may need to know besides the storage. */
export interface DriverContext {
  /** Folder of everything the agent makes. */
  readonly base: string;
  /** The container that the storage is for; undefined for the sandbox's own. */
  readonly containerId: string | undefined;
}

/** How to provide one kind of storage. */
export interface Driver {
  /** Kernel modules that it needs. */
  modules?(storage: Storage): readonly string[];
  /** The mount point is a file: what is bound on it is one. */
  isFile?(storage: Storage, context: DriverContext): boolean;
  /** What to mount, or undefined if the folder itself is the storage. Work that must be done before happens here. */
  attachment(storage: Storage, context: DriverContext): Attachment | undefined;
  /**
   * What remains to be done once it is there.
   *
   * @param target the mounted folder, a place
   * @param made whether the folder was not there before
   */
  finish?(storage: Storage, target: number, made: boolean): void;
}

/** A share of the host: the tag is the source, the filesystem is the driver's. */
function share(fstype: string, ...modules: string[]): Driver {
  return {
    modules: () => modules,
    attachment(storage) {
      requireSource(storage);
      return filesystem(storage.source, fstype, storageOptions(storage.options).mount);
    },
  };
}

/** How far the kernel reads ahead on a share, in KiB: two requests of the largest size are under way at once. */
const READ_AHEAD_KIB = 2048;

/** By itself the kernel asks the host for 128 KiB of a file at a time, as if there were a disk whose heads move. */
const virtioFs: Driver = {
  ...share("virtiofs", "virtiofs"),
  finish(_storage, target) {
    const { dev } = statFd(target);
    try {
      Deno.writeTextFileSync(
        `/sys/class/bdi/${majorOf(dev)}:${minorOf(dev)}/read_ahead_kb`,
        `${READ_AHEAD_KIB}`,
      );
    } catch (error) {
      // it is faster, but not needed
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
};

const bind: Driver = {
  isFile(storage, context) {
    using source = openSource(storage, context);
    return statFd(source.fd).type !== S.IFDIR;
  },
  attachment(storage, context) {
    const options = storageOptions(storage.options).mount;
    if (options.data.length > 0) {
      throw invalidArgument(`option "${options.data[0]}" of "${storage.mountPoint}" is not one of a bind`);
    }
    return { kind: "bind", open: () => openSource(storage, context), options };
  },
};

/** Memory: tmpfs, or huge pages that are set aside first. */
const ephemeral: Driver = {
  attachment(storage) {
    const { mount } = storageOptions(storage.options);
    if (storage.fstype === "hugetlbfs") {
      reserveHugePages(storage.options);
      return filesystem("nodev", "hugetlbfs", mount);
    }
    if (storage.fstype !== "" && storage.fstype !== "tmpfs") {
      throw invalidArgument(
        `an ephemeral storage must be "tmpfs" or "hugetlbfs": its type is "${storage.fstype}"`,
      );
    }
    return filesystem("tmpfs", "tmpfs", mount);
  },
  finish: (storage, target) => giveToGroup(target, storageOptions(storage.options).fsgid),
};

/** A folder that the containers of a pod share. One that is there is theirs: they may have changed its mode. */
const local: Driver = {
  attachment: () => undefined,
  finish(storage, target, made) {
    if (!made) return;
    const mode = optionValue(storage.options, "mode");
    if (mode !== undefined) {
      if (!/^[0-7]{1,5}$/.test(mode)) {
        throw invalidArgument(`storage option "mode" must be an octal number: it is "${mode}"`);
      }
      fchmodAt(AT.FDCWD, pathOf(target), parseInt(mode, 8));
    }
    giveToGroup(target, storageOptions(storage.options).fsgid);
  },
};

const OVERLAY_FOLDER = "io.katacontainers.volume.overlayfs.create_directory";
const OVERLAY_OPTION = "io.katacontainers.fs-opt.";

/** Layers that are already in the guest, with upper and work folders of the agent's if the host wants to write. */
const overlay: Driver = {
  modules: () => ["overlay"],
  attachment(storage, context) {
    const folder = optionValue(storage.driverOptions, OVERLAY_FOLDER);
    if (folder !== undefined) makeFolder(context, folder, `driver option "${OVERLAY_FOLDER}"`);
    const options = storage.options.filter((option) => !option.startsWith(OVERLAY_OPTION));
    if (storage.options.includes(`${OVERLAY_OPTION}overlay-rw`)) {
      if (context.containerId === undefined) {
        throw invalidArgument(
          `a writable overlay needs a container: "${storage.mountPoint}" belongs to the sandbox`,
        );
      }
      for (const [option, name] of [["upperdir", "upper"], ["workdir", "work"]] as const) {
        const path = `${context.base}/${context.containerId}/${name}`;
        makeFolder(context, path, option);
        options.push(`${option}=${path}`);
      }
    }
    return filesystem(storage.source || "overlay", "overlay", storageOptions(options).mount);
  },
};

/** A filesystem on a disk, whose node is the source; with the type "bind" the node itself. */
const disk: Driver = {
  modules: ({ fstype }) => fstype === "bind" ? [] : FSTYPE_MODULES[fstype] ?? [fstype],
  isFile: ({ fstype }) => fstype === "bind",
  attachment(storage, context) {
    const { source, fstype, mountPoint } = storage;
    if (fstype === "bind") return bind.attachment(storage, context);
    if (!/^[a-z0-9_]+$/.test(fstype)) {
      throw invalidArgument(`storage "${mountPoint}" needs the type of its filesystem: it is "${fstype}"`);
    }
    if (!requireSource(storage).startsWith("/dev/")) {
      throw invalidArgument(
        `storage "${mountPoint}" needs a disk below /dev as its source: it is "${source}"`,
      );
    }
    return filesystem(source, fstype, storageOptions(storage.options).mount);
  },
  finish(storage, target) {
    if (storage.fstype !== "bind") giveToGroup(target, storageOptions(storage.options).fsgid);
  },
};

/** Modules of filesystems; checksums are one that none of them names as a need. */
const FSTYPE_MODULES: Readonly<Record<string, readonly string[]>> = {
  ext2: ["crc32c_generic", "ext4"],
  ext3: ["crc32c_generic", "ext4"],
  ext4: ["crc32c_generic", "ext4"],
  xfs: ["crc32c_generic", "xfs"],
};

const DRIVERS: Readonly<Record<string, Driver>> = {
  "9p": share("9p", "9pnet_virtio", "9p"),
  "virtio-fs": virtioFs,
  bind,
  blk: disk,
  "blk-ccw": disk,
  ephemeral,
  local,
  mmioblk: disk,
  nvdimm: disk,
  overlayfs: overlay,
  scsi: disk,
};

/** The driver of folders that are copied; `watched.ts` makes storages of other drivers of them. */
export const WATCHABLE = "watchable-bind";

/** Whether a driver's sources are disks, which may have to be waited for. */
export function isDiskDriver(name: string): boolean {
  return Object.hasOwn(DRIVERS, name) && DRIVERS[name] === disk;
}

/** Names of the drivers, as the guest details report them. */
export const STORAGE_DRIVERS: readonly string[] = [...Object.keys(DRIVERS), WATCHABLE].sort();

/** A driver that other agents have and this one does not. */
const REFUSED = ["image_guest_pull"];

/**
 * The driver by its name.
 *
 * @throws {RpcError} `Unimplemented` or `InvalidArgument`, naming it
 */
export function driverOf(storage: Storage): Driver {
  if (Object.hasOwn(DRIVERS, storage.driver)) return DRIVERS[storage.driver] as Driver;
  const text = `storage driver "${storage.driver}" of "${storage.mountPoint}"`;
  if (REFUSED.includes(storage.driver)) throw unimplemented(`${text} is not supported by this agent`);
  if (storage.driver === WATCHABLE) throw invalidArgument(`${text} is for containers, not for the sandbox`);
  throw invalidArgument(`${text} is unknown: must be one of ${STORAGE_DRIVERS.join(", ")}`);
}

function requireSource(storage: Storage): string {
  if (storage.source === "" || storage.source.includes("\0")) {
    throw invalidArgument(`storage "${storage.mountPoint}" needs a source: it is "${storage.source}"`);
  }
  return storage.source;
}

/** What is to be bound. Below the agent's folder no link is followed: containers can write there. */
function openSource(storage: Storage, context: DriverContext): OwnedFd {
  const path = requireSource(storage);
  try {
    const confined = path === context.base || path.startsWith(`${context.base}/`);
    if (!confined) return new OwnedFd(openFd(path, O.PATH));
    return openBeneath(context.base, namesBelow(context.base, path, "the source of a bind"));
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
    throw invalidArgument(`cannot bind "${path}" to "${storage.mountPoint}": ${error.code}`, {
      cause: error,
    });
  }
}

function filesystem(source: string, fstype: string, options: MountOptions): Attachment {
  if (options.bind) throw invalidArgument(`a storage of type "${fstype}" cannot be bound`);
  return { kind: "filesystem", source, fstype, options };
}

function giveToGroup(folder: number, gid: number | undefined): void {
  if (gid === undefined) return;
  fchownAt(folder, "", -1, gid, AT.EMPTY_PATH);
  fchmodAt(AT.FDCWD, pathOf(folder), statFd(folder).mode | S.ISGID);
}

function makeFolder(context: DriverContext, path: string, what: string): void {
  const { folder } = makeFolderBeneath(context.base, namesBelow(context.base, path, what));
  folder[Symbol.dispose]();
}
