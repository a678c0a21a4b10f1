/**
 * Kubernetes' `emptyDir` volumes, which the guest makes: in its memory, on huge pages, or in a folder of the pod's.
 *
 * @module
 */

import type { HugepageLimit, Mount } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { Storage } from "../../rpc/gen/agent_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { FS_MAGIC } from "../../sys/statfs.ts";
import { GUEST_MEMORY_VOLUMES } from "../state/paths.ts";
import type { FileSystemFacts, MountHost } from "./mount_host.ts";

/** File systems that the guest makes, and the mount of what is in them. */
export interface StoragePlan {
  readonly kind: "storage";
  readonly mount: Mount;
  readonly storages: readonly Init<Storage>[];
}

/** A folder that the guest makes where the pod has its folders; where that is, is known when the pod is there. */
export interface LocalPlan {
  readonly kind: "local";
  readonly mount: Mount;
  /** the same on the host, for a pod without such a place */
  readonly source: string;
  /** @param folder of the pod's volumes, as the guest sees it */
  at(folder: string): Omit<StoragePlan, "kind">;
}

/** What is known of a container's volumes besides their paths. */
export interface EmptyDirContext {
  /** huge pages are set aside by them */
  readonly hugepageLimits: readonly HugepageLimit[];
  /** whether volumes on the host's disk are folders of the guest's */
  readonly guestEmptyDirs: boolean;
}

/** How Kubernetes names the folders of such volumes, perhaps with a part of the volume. */
const EMPTY_DIR = /^(.*\/kubernetes\.io~empty-dir\/([^/]+))(?:\/(.+))?$/;
/** How it names the binds of a volume's parts: by pod, volume, container and a number. */
const PART = /^(.*)\/volume-subpaths\/([^/]+)\/[^/]+\/[0-9]+$/;

/** A volume, or a part of it. */
interface EmptyDir {
  readonly name: string;
  /** of the host */
  readonly folder: string;
  /** the part's path in the volume; empty: all of it */
  readonly part: string;
}

/**
 * What becomes of a folder of the host that is such a volume, or a part of one: containers of the pod find in it what
 * others of them have written, whichever part they have.
 *
 * @returns undefined for other folders, and for volumes that are the host's
 * @throws {RpcError} `INVALID_ARGUMENT` for huge pages without a limit
 */
export function emptyDir(
  mount: Mount,
  source: string,
  context: EmptyDirContext,
  host: MountHost,
): StoragePlan | LocalPlan | undefined {
  const found = find(source, host);
  const on = found && host.fileSystemOf(found.folder);
  if (found === undefined || on === undefined || host.kindOf(source) !== "folder") return undefined;
  const whole = inMemory(mount, found, on, context.hugepageLimits, host);
  if (whole !== undefined) {
    const { mountPoint, ...storage } = whole;
    return { kind: "storage", ...places(mount, found, { ...storage, mountPoint }, host) };
  }
  if (!context.guestEmptyDirs || on.magic === FS_MAGIC.hugetlbfs) return undefined;
  const options = ["mode=0777", ...group(host.ownerOf(found.folder).gid)];
  const storage = { driver: "local", source: "local", fstype: "local", options };
  const at = (folder: string) =>
    places(mount, found, { ...storage, mountPoint: `${folder}/${found.name}` }, host);
  return { kind: "local", mount, source, at };
}

function find(source: string, host: MountHost): EmptyDir | undefined {
  const [, folder, name, part = ""] = EMPTY_DIR.exec(source) ?? [];
  if (folder !== undefined && name !== undefined) return clean({ folder, name, part });
  const [, pod, volume] = PART.exec(source) ?? [];
  if (pod === undefined || volume === undefined) return undefined;
  const whole = `${pod}/volumes/kubernetes.io~empty-dir/${volume}`;
  const bound = host.placeWithin(whole, source);
  return bound === undefined ? undefined : clean({ folder: whole, name: volume, part: bound });
}

function clean(found: EmptyDir): EmptyDir | undefined {
  const names = found.part.split("/").filter((name) => name !== "");
  return names.some((name) => name === "." || name === "..")
    ? undefined
    : { ...found, part: names.join("/") };
}

/** A volume that is memory on the host is memory of the guest, with the same limit. */
function inMemory(
  { destination }: Mount,
  { name, folder }: EmptyDir,
  on: FileSystemFacts,
  limits: readonly HugepageLimit[],
  host: MountHost,
): (Init<Storage> & { readonly mountPoint: string }) | undefined {
  const mountPoint = `${GUEST_MEMORY_VOLUMES}/${name}`;
  const { gid, mode } = host.ownerOf(folder);
  if (on.magic === FS_MAGIC.tmpfs) {
    const size = on.bytes > 0 ? [`size=${on.bytes}`] : [];
    const options = [`mode=${mode.toString(8)}`, ...size, ...group(gid)];
    return { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint, options };
  }
  if (on.magic !== FS_MAGIC.hugetlbfs) return undefined;
  const limit = limits.find(({ pageSize }) => pageBytes(pageSize) === on.blockBytes)?.limit;
  if (limit === undefined) {
    throw new RpcError(
      Code.InvalidArgument,
      `cannot mount "${destination}": the container has no limit for its huge pages of ${on.blockBytes} bytes`,
    );
  }
  const options = [`pagesize=${on.blockBytes}`, `size=${limit}`, ...group(gid)];
  return { driver: "ephemeral", source: "nodev", fstype: "hugetlbfs", mountPoint, options };
}

/** The volume and, one by one, the folders on the way to the part, which have the host's permissions when they are made. */
function places(
  mount: Mount,
  { folder, part }: EmptyDir,
  whole: Init<Storage> & { readonly mountPoint: string },
  host: MountHost,
): Omit<StoragePlan, "kind"> {
  const storages: Init<Storage>[] = [whole];
  let below = "";
  for (const name of part.split("/").filter((name) => name !== "")) {
    below += `/${name}`;
    const { gid, mode } = host.ownerOf(folder + below);
    const options = [`mode=${mode.toString(8)}`, ...group(gid)];
    const mountPoint = whole.mountPoint + below;
    storages.push({ driver: "local", source: "local", fstype: "local", mountPoint, options });
  }
  return { mount: { ...mount, type: "bind", source: whole.mountPoint + below }, storages };
}

function group(gid: number): string[] {
  return gid === 0 ? [] : [`fsgid=${gid}`];
}

/** `64KB`, `2MB`, `1GB`, as control groups name the sizes of huge pages. */
function pageBytes(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d+)([KMG])B$/.exec(text) ?? [];
  return number === "" ? undefined : Number(number) * 1024 ** ("KMG".indexOf(unit) + 1);
}
