/**
 * The hierarchies of cgroups that a host has: one of version 2, or those of version 1, one for each controller or a few
 * of them. A host with both counts as one of version 1: that is where its controllers are.
 *
 * @module
 */

import { type MountInfo, readMountinfo } from "../../sys/mountinfo.ts";

/** Where hosts mount them. */
const MOUNT_POINT = "/sys/fs/cgroup";

/** A tree of cgroups. */
export interface Hierarchy {
  /** of version 1: its controllers, one at least; empty = version 2, which has all that a cgroup above has switched on */
  readonly controllers: readonly string[];
  /** the folder of its root */
  readonly root: string;
  /** the folder of the cgroup that the process is in which asks */
  readonly home: string;
  /**
   * Whether somebody has put that process into a cgroup of their own choice, apart from the host's service manager: to
   * leave it would be to escape what they count or limit.
   */
  readonly isSupervised: boolean;
}

/** All hierarchies that matter. */
export interface Hierarchies {
  readonly version: 1 | 2;
  /** none: the host has no cgroups */
  readonly list: readonly Hierarchy[];
}

/** Where a process is, line by line of `/proc/<pid>/cgroup`. */
interface Place {
  /** `[]` for version 2, `["name=systemd"]` for a hierarchy without controllers */
  readonly controllers: readonly string[];
  readonly path: string;
}

/** Those of this host, as they look to a process (default: this one). */
export function hostHierarchies(pid: number | "self" = "self"): Hierarchies {
  return hierarchiesOf(readMountinfo(), Deno.readTextFileSync(`/proc/${pid}/cgroup`));
}

/** @param cgroup text of `/proc/<pid>/cgroup` */
export function hierarchiesOf(mounts: readonly MountInfo[], cgroup: string): Hierarchies {
  const places = cgroup.split("\n").flatMap(placeOf);
  const unified = mounts.filter(({ fstype }) => fstype === "cgroup2");
  const managed = places.find(({ controllers }) => controllers[0] === "name=systemd")?.path;
  const separate = places.flatMap(({ controllers, path }): Hierarchy[] => {
    const [first] = controllers;
    if (first === undefined || first.startsWith("name=")) return [];
    const mount = mounts.find(({ fstype, superOptions }) =>
      fstype === "cgroup" && superOptions.includes(first)
    );
    return mount === undefined ? [] : [hierarchy(mount, controllers, path, managed)];
  });
  const isUnified = unified.some(({ mountPoint }) => mountPoint === MOUNT_POINT);
  if (separate.length > 0 && !isUnified) return { version: 1, list: separate };
  const [mount] = unified;
  const path = places.find(({ controllers }) => controllers.length === 0)?.path ?? "/";
  return { version: 2, list: mount === undefined ? [] : [hierarchy(mount, [], path, undefined)] };
}

function hierarchy(
  mount: MountInfo,
  controllers: readonly string[],
  path: string,
  managed: string | undefined,
): Hierarchy {
  const { root, mountPoint } = mount;
  // what is mounted may be a part of the tree only
  const inside = root === "/" ? path : path.startsWith(`${root}/`) ? path.slice(root.length) : "/";
  const isManaged = managed === undefined || path === "/" || `${managed}/`.startsWith(`${path}/`);
  const home = inside === "/" ? mountPoint : `${mountPoint}${inside}`;
  return { controllers, root: mountPoint, home, isSupervised: !isManaged };
}

function placeOf(line: string): Place[] {
  const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
  if (controllers === undefined || path === undefined) return [];
  return [{ controllers: controllers === "" ? [] : controllers.split(","), path }];
}
