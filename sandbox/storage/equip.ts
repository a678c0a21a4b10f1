/**
 * Makes everything of the host that a container uses available in the guest: root file system, mounts, disks.
 *
 * @module
 */

import type { Rootfs, RootfsMount } from "../../fs/rootfs.ts";
import { parseMountOptions } from "../../oci/mount_options.ts";
import type { Device as SpecDevice, Mount, Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { Device, Storage } from "../../rpc/gen/agent_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { basename } from "../../sys/path.ts";
import { DISK_HOST, isVfio, planDevices } from "../devices/devices.ts";
import { reason } from "../log/log.ts";
import type { SandboxParts } from "../sandbox.ts";
import { GUEST_BASE, GUEST_DISK_VOLUMES } from "../state/paths.ts";
import type { UsedDisk } from "./disks.ts";
import { MOUNT_HOST } from "./mount_host.ts";
import { type MountPlan, sharedPlan } from "./mounts.ts";
import { type DiskPlan, fsOptions } from "./volumes.ts";

/** A container as the host has it. */
export interface Bundle {
  readonly id: string;
  /** folder that relative paths of the spec are relative to */
  readonly bundle: string;
  readonly spec: Spec;
  /** to be stacked on `<bundle>/rootfs`; none: the spec's root is there already */
  readonly rootfs: readonly RootfsMount[];
}

/** What is sent to the guest. */
export interface Equipment {
  /** root file system as the guest sees it */
  readonly rootPath: string;
  readonly mounts: readonly Mount[];
  /** `linux.devices` */
  readonly nodes: readonly SpecDevice[];
  /** those of them that are disks in the machine */
  readonly attached: readonly SpecDevice[];
  readonly storages: readonly Init<Storage>[];
  readonly devices: readonly Init<Device>[];
  /** where the guest finds devices of the host, by their addresses */
  readonly hostDevices: ReadonlyMap<string, string>;
}

/**
 * Makes all of it available in the guest.
 *
 * @param taken releases it
 * @throws {Error} names the device, mount or rootfs that cannot be used
 */
export async function equip(
  bundle: Bundle,
  plans: readonly MountPlan[],
  parts: SandboxParts,
  taken: AsyncDisposableStack,
): Promise<Equipment> {
  const storages: Init<Storage>[] = [];
  const root = await openRoot(bundle, parts, taken);
  storages.push(...root.storages);
  taken.defer(() => parts.share.remove(bundle.id));
  const rootPath = root.path.kind === "guest"
    ? root.path.path
    : await parts.share.addRootfs(bundle.id, root.path.path);
  const mounts: Mount[] = [];
  for (const plan of plans) {
    const mount = await equipMount(plan, { id: bundle.id, parts, storages, taken });
    if (mount !== undefined) mounts.push(mount);
  }
  return { rootPath, mounts, storages, ...await equipDevices(bundle.spec, parts, taken) };
}

/** A container on its way. */
interface Equipping {
  readonly id: string;
  readonly parts: SandboxParts;
  /** gets what the guest has to mount */
  readonly storages: Init<Storage>[];
  readonly taken: AsyncDisposableStack;
}

/** @returns undefined for what no guest can have */
async function equipMount(plan: MountPlan, container: Equipping): Promise<Mount | undefined> {
  const { id, parts, storages, taken } = container;
  switch (plan.kind) {
    case "guest":
      return plan.mount;
    case "shared": {
      const { kind: _kind, mount, watchable, ...shared } = plan;
      const { destination } = mount;
      const source = await parts.share.addMount(id, { ...shared, destination });
      if (source === undefined) {
        const what = `"${destination}" is not in the container`;
        parts.log.write("warning", `${what}: "${plan.source}" is no file or folder, and cannot be copied`);
        return undefined;
      }
      if (!watchable || !parts.policy.sharesFiles) return { ...mount, source };
      const mountPoint = `${await parts.share.addWatchable()}/${basename(source)}`;
      storages.push({ driver: "watchable-bind", source, fstype: "bind", mountPoint });
      return { ...mount, source: mountPoint };
    }
    case "local": {
      const place = await parts.local.place(parts);
      if (place === undefined) {
        return await equipMount(sharedPlan(plan.mount, plan.source), container);
      }
      const { mount, storages: own } = plan.at(place.folder);
      storages.push(...place.storages, ...own);
      return mount;
    }
    case "storage":
      storages.push(...plan.storages);
      return plan.mount;
    case "disk": {
      const storage = await equipDisk(plan, parts, taken);
      storages.push(storage);
      return { ...plan.mount, type: "bind", source: storage.mountPoint ?? "" };
    }
  }
}

/** A disk is mounted once, however many containers use it: the mount point is named after its address in the guest. */
async function equipDisk(
  plan: DiskPlan,
  parts: SandboxParts,
  taken: AsyncDisposableStack,
): Promise<Init<Storage>> {
  const { disk, filesystem, volume } = plan;
  if (volume !== undefined) taken.use(await parts.disks.claim(volume, disk.path, parts.id));
  const used = taken.use(await parts.disks.use(disk));
  const { driver, source } = used;
  const name = new TextEncoder().encode(source).toBase64({ alphabet: "base64url" });
  const mountPoint = `${GUEST_DISK_VOLUMES}/${name}`;
  if (volume !== undefined) {
    const resizeDevice = (bytes: number) => used.resize(bytes);
    parts.disks.volumes.set(disk.path, { guestPath: mountPoint, resizeDevice });
  }
  const how = filesystem ?? { fstype: "bind", options: ["bind"] };
  return { driver, source, mountPoint, ...how };
}

async function equipDevices(
  spec: Spec,
  parts: SandboxParts,
  taken: AsyncDisposableStack,
): Promise<Pick<Equipment, "nodes" | "attached" | "devices" | "hostDevices">> {
  const all = spec.linux?.devices ?? [];
  // the monitor opens these nodes, which a host may have had none of when the machine was started
  for (const { path } of all.filter(isVfio)) {
    for (const node of [path, "/dev/vfio/vfio", "/dev/iommu"]) taken.use(parts.cgroups.useDevice(node));
  }
  const vfio = all.some(isVfio) ? await (await vfioModule()).equipVfio(spec, parts, taken) : undefined;
  const others = vfio?.others ?? all;
  const { nodes, disks, dropped } = planDevices(others, parts.policy, DISK_HOST);
  for (const sentence of dropped) parts.log.write("warning", sentence);
  const devices: Init<Device>[] = [...vfio?.devices ?? []];
  for (const { containerPath, disk } of disks) {
    const { driver, source }: UsedDisk = taken.use(await parts.disks.use(disk));
    devices.push({ type: driver, id: source, containerPath });
  }
  const attached = nodes.filter(({ path }) => devices.some(({ containerPath }) => containerPath === path));
  const hostDevices = vfio?.paths ?? new Map();
  return { nodes: [...nodes, ...vfio?.nodes ?? []], attached, devices, hostDevices };
}

interface Root {
  readonly path: { readonly kind: "guest" | "host"; readonly path: string };
  readonly storages: readonly Init<Storage>[];
}

async function openRoot(bundle: Bundle, parts: SandboxParts, taken: AsyncDisposableStack): Promise<Root> {
  const [only, ...others] = bundle.rootfs;
  if (only !== undefined && others.length === 0 && parts.policy.useDisks && isDisk(only)) {
    return await rootOnDisk(`${GUEST_BASE}/${bundle.id}/rootfs`, only, parts, taken);
  }
  // the file system of a device that is mounted here
  for (const { source } of bundle.rootfs) taken.use(parts.cgroups.useDevice(source));
  const rootfs: Rootfs = taken.use(await openRootfs(bundle, parts));
  return { path: { kind: "host", path: rootfs.path }, storages: [] };
}

/** Few containers have devices of the host. */
async function vfioModule(): Promise<typeof import("../devices/equip_vfio.ts")> {
  return await import("../devices/equip_vfio.ts");
}

/** A snapshotter's device, which the guest mounts by itself. */
export function isDisk({ type, source, target = "" }: RootfsMount): boolean {
  return type !== "overlay" && type !== "bind" && target === "" && MOUNT_HOST.kindOf(source) === "block";
}

/** A root file system that the guest mounts by itself, from a disk. */
export async function rootOnDisk(
  mountPoint: string,
  { type, source, options }: RootfsMount,
  parts: SandboxParts,
  taken: AsyncDisposableStack,
): Promise<Root> {
  const { extensions } = parseMountOptions(options);
  if (extensions.length > 0) {
    throw new Error(`cannot mount "${source}": option "${extensions[0]}" is not supported`);
  }
  const readonly = options.includes("ro");
  const disk = taken.use(await parts.disks.use({ path: source, isDevice: true, readonly }));
  const { driver, source: address } = disk;
  const storage = {
    driver,
    source: address,
    fstype: type,
    options: fsOptions(type, options, readonly),
    mountPoint,
  };
  return { path: { kind: "guest", path: mountPoint }, storages: [storage] };
}

/** Where a bundle's root is. */
export function rootPathOf({ bundle, spec }: Pick<Bundle, "bundle" | "spec">): string {
  return spec.root.path.startsWith("/") ? spec.root.path : `${bundle}/${spec.root.path}`;
}

/** The folder, links resolved. @throws {RpcError} `INVALID_ARGUMENT` when there is none */
export async function existingFolder(path: string): Promise<string> {
  try {
    const real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isDirectory) return real;
  } catch (error) {
    throw new RpcError(Code.InvalidArgument, `rootfs "${path}" cannot be used: ${reason(error)}`, {
      cause: error,
    });
  }
  throw new RpcError(Code.InvalidArgument, `rootfs "${path}" is not a folder`);
}

/** Mounts what the snapshotter asked for, if it did. */
export async function openRootfs(bundle: Bundle, parts: SandboxParts): Promise<Rootfs> {
  if (bundle.rootfs.length === 0) {
    return {
      path: await existingFolder(rootPathOf(bundle)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const mountPoint = `${bundle.bundle}/rootfs`;
  await parts.record.addMount(mountPoint);
  return await parts.host.mountRootfs(mountPoint, bundle.rootfs);
}
