/**
 * How each mount of a container's spec is handled: made by the guest itself, shared from the host's files, or a disk.
 *
 * @module
 */

import type { Mount } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { isWithin } from "../../sys/path.ts";
import { GUEST_SHM } from "../state/paths.ts";
import { emptyDir, type EmptyDirContext, type LocalPlan, type StoragePlan } from "./empty_dirs.ts";
import type { MountHost } from "./mount_host.ts";
import { directVolume, diskNode, type DiskPlan, fileAsDisk } from "./volumes.ts";

/** One mount, and who makes it. */
export type MountPlan =
  /** sent to the guest as it is */
  | { readonly kind: "guest"; readonly mount: Mount }
  /** the guest sees the source through the shared folder */
  | {
    readonly kind: "shared";
    readonly mount: Mount;
    readonly source: string;
    readonly readonly: boolean;
    /** with what is mounted below the source, and with what the host will mount there */
    readonly recursive: boolean;
    readonly follows: boolean;
    /** whether changes by the host are propagated to the container */
    readonly watchable?: true;
  }
  | StoragePlan
  | LocalPlan
  | DiskPlan;

/** What the plans of mounts depend on besides them. */
export interface MountContext extends EmptyDirContext {
  /** relative sources are relative to it */
  readonly bundle: string;
  /** whether the container is one of a pod's, which share volumes */
  readonly inPod: boolean;
  /** whether disks may be plugged into the machine */
  readonly useDisks: boolean;
}

/** Whether a mount is a bind mount, by its type or, as runc takes it, by its options. */
function isBind(mount: Mount): boolean {
  return mount.type === "bind" ||
    (mount.options ?? []).some((option) => option === "bind" || option === "rbind");
}

/**
 * Decides over every mount, in order.
 *
 * @throws {RpcError} `INVALID_ARGUMENT` for a source that is missing or cannot be shared
 */
export function planMounts(mounts: readonly Mount[], context: MountContext, host: MountHost): MountPlan[] {
  return mounts.map((mount) => planMount(mount, context, host));
}

function planMount(mount: Mount, context: MountContext, host: MountHost): MountPlan {
  if (mount.destination === "/dev/shm") return { kind: "guest", mount: podShm(mount) };
  if (!isBind(mount)) return { kind: "guest", mount };
  const source = absolute(mount.source ?? "", context.bundle);
  if (isWithin(source, "/proc") || isWithin(source, "/sys")) return { kind: "guest", mount };
  if (isDevice(mount.destination, host)) return { kind: "guest", mount };
  const volume = host.volumeAt(source);
  if (volume !== undefined) return directVolume(mount, source, volume, host);
  const kind = host.kindOf(source);
  if (kind === undefined) throw refused(mount, `its source "${source}" does not exist`);
  if (kind === "block") {
    if (context.useDisks) return diskNode(mount, source);
    throw refused(mount, `its source "${source}" is a block device, and disable_block_device_use is set`);
  }
  const asDisk = kind === "file" && context.useDisks ? fileAsDisk(mount, source, host) : undefined;
  if (asDisk !== undefined) return asDisk;
  const ofPod = context.inPod ? emptyDir(mount, source, context, host) : undefined;
  if (ofPod !== undefined) return ofPod;
  const shared = sharedPlan(mount, source);
  return isWatchable(source, host) ? { ...shared, watchable: true } : shared;
}

/** Propagation of mounts from the host to a container; the other way there is none, as the guest mounts in its own. */
const FOLLOWS = ["slave", "rslave", "shared", "rshared"];

/** How Kubernetes names the folders of volumes whose users wait for changes. */
const CONFIGURATION = /\/kubernetes\.io~(?:configmap|secret)\/[^/]+$/;
/** The most files of a volume that the guest watches for its containers. */
const MAX_WATCHED_FILES = 8;

function isWatchable(source: string, host: MountHost): boolean {
  if (!CONFIGURATION.test(source)) return false;
  const files = host.countFiles(source, MAX_WATCHED_FILES + 1);
  return files >= 1 && files <= MAX_WATCHED_FILES;
}

/** A file or folder of the host. */
export function sharedPlan(mount: Mount, source: string): Extract<MountPlan, { kind: "shared" }> {
  const has = (...options: string[]) => options.some((option) => mount.options?.includes(option));
  return {
    kind: "shared",
    mount,
    source,
    readonly: has("ro", "rro"),
    recursive: has("rbind"),
    follows: has(...FOLLOWS),
  };
}

function refused({ destination }: Mount, why: string): RpcError {
  return new RpcError(Code.InvalidArgument, `cannot mount "${destination}": ${why}`);
}

/** `/dev` itself, and what the host has there as anything but a plain file, exists in the guest, too. */
function isDevice(destination: string, host: MountHost): boolean {
  if (destination === "/dev") return true;
  if (!destination.startsWith("/dev/")) return false;
  const kind = host.kindOf(destination);
  return kind !== undefined && kind !== "file";
}

/** All containers of a pod have the pod's one `/dev/shm`. */
function podShm(mount: Mount): Mount {
  return { ...mount, type: "bind", source: GUEST_SHM, options: ["rbind"] };
}

function absolute(path: string, bundle: string): string {
  return path.startsWith("/") ? path : `${bundle}/${path}`;
}

/** Size of `/dev/shm` where nothing else is said, in bytes. */
const DEFAULT_SHM_BYTES = 67_108_864;

/** Size that the spec gives to `/dev/shm`, in bytes: a tmpfs says it as an option, a bind by the file system it binds. */
export function shmSize(mounts: readonly Mount[], sizeOf: (path: string) => number | undefined): number {
  const mount = mounts.find((mount) => mount.destination === "/dev/shm");
  if (mount === undefined) return DEFAULT_SHM_BYTES;
  if (isBind(mount)) return sizeOf(mount.source ?? "") || DEFAULT_SHM_BYTES;
  const option = (mount.options ?? []).find((option) => option.startsWith("size="));
  return (option && parseSize(option.slice("size=".length))) || DEFAULT_SHM_BYTES;
}

/** A size as tmpfs takes it: `65536k`, `64m`, `1g`, bytes. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)([kmg]?)$/i.exec(text);
  if (match === null) return undefined;
  const unit = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(match[2] ?? "").toLowerCase()] ?? 1;
  return Number(match[1]) * unit;
}
