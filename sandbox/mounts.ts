/**
 * What becomes of the mounts of a container's spec: which of them the guest makes by itself, which come from the
 * host's files.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import type { Mount } from "../oci/spec.ts";
import { isWithin } from "../sys/path.ts";
import { GUEST_SHM } from "./paths.ts";

/** What a path on the host is; `undefined` = it is not there. */
export type FileKind = "file" | "folder" | "block" | "other" | undefined;

/** One mount, and who makes it. */
export type MountPlan =
  /** sent to the guest as it is */
  | { readonly kind: "guest"; readonly mount: Mount }
  /** the guest sees the source through the shared folder */
  | { readonly kind: "shared"; readonly mount: Mount; readonly source: string; readonly readonly: boolean };

/** Whether a mount is a bind mount, by its type or, as runc takes it, by its options. */
export function isBind(mount: Mount): boolean {
  return mount.type === "bind" ||
    (mount.options ?? []).some((option) => option === "bind" || option === "rbind");
}

/**
 * Decides over every mount, in order.
 *
 * @param bundle relative sources are relative to it
 * @param kindOf looks at the host
 * @throws {RpcError} `INVALID_ARGUMENT` for a source that is missing or cannot be shared
 */
export function planMounts(
  mounts: readonly Mount[],
  bundle: string,
  kindOf: (path: string) => FileKind,
): MountPlan[] {
  return mounts.map((mount) => planMount(mount, bundle, kindOf));
}

function planMount(mount: Mount, bundle: string, kindOf: (path: string) => FileKind): MountPlan {
  if (mount.destination === "/dev/shm") return { kind: "guest", mount: podShm(mount) };
  if (!isBind(mount)) return { kind: "guest", mount };
  const source = absolute(mount.source ?? "", bundle);
  if (isWithin(source, "/proc") || isWithin(source, "/sys")) return { kind: "guest", mount };
  if (isDevice(mount.destination, kindOf)) return { kind: "guest", mount };
  const kind = kindOf(source);
  if (kind === undefined) {
    throw new RpcError(
      Code.InvalidArgument,
      `cannot mount "${mount.destination}": its source "${source}" does not exist`,
    );
  }
  if (kind === "block") {
    const text =
      `cannot mount "${mount.destination}": its source "${source}" is a block device, and only files and folders are shared`;
    throw new RpcError(Code.InvalidArgument, text);
  }
  return { kind: "shared", mount, source, readonly: (mount.options ?? []).includes("ro") };
}

/** `/dev` itself, and what the host has there as anything but a plain file, exists in the guest, too. */
function isDevice(destination: string, kindOf: (path: string) => FileKind): boolean {
  if (destination === "/dev") return true;
  if (!destination.startsWith("/dev/")) return false;
  const kind = kindOf(destination);
  return kind !== undefined && kind !== "file";
}

/** All containers of a pod have the pod's one `/dev/shm`. */
function podShm(mount: Mount): Mount {
  return { ...mount, type: "bind", source: GUEST_SHM, options: ["rbind"] };
}

function absolute(path: string, bundle: string): string {
  return path.startsWith("/") ? path : `${bundle}/${path}`;
}

/** Looks at the host, links followed. */
export function hostFileKind(path: string): FileKind {
  try {
    const stat = Deno.statSync(path);
    if (stat.isFile) return "file";
    if (stat.isDirectory) return "folder";
    return stat.isBlockDevice ? "block" : "other";
  } catch {
    return undefined;
  }
}

/** Size of `/dev/shm` where nothing else is said, in bytes. */
export const DEFAULT_SHM_BYTES = 67_108_864;

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
