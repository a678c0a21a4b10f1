/**
 * Where a sandbox keeps its files on the host.
 *
 * @module
 */

/** Folders that hold one sub-folder per sandbox. */
export interface HostPaths {
  /** saved state, mode 0700 */
  readonly state: string;
  /** sockets and pid files of the virtual machine, mode 0750 */
  readonly vm: string;
  /** what is shared with the guest */
  readonly shared: string;
}

/** The folders that tools of Kata Containers know, too. */
export const HOST_PATHS: HostPaths = {
  state: "/run/vc/sbs",
  vm: "/run/vc/vm",
  shared: "/run/kata-containers/shared/sandboxes",
};

/** Name of the socket by which tools ask a sandbox's owner, in the folder of its saved state. */
const MANAGEMENT_SOCKET = "shim-monitor.sock";

/** Path of a sandbox's management socket. */
export function managementSocketPath(paths: HostPaths, id: string): string {
  return `${paths.state}/${id}/${MANAGEMENT_SOCKET}`;
}

/** Where the guest sees the shared folder. */
export const GUEST_SHARED_FOLDER = "/run/kata-containers/shared/containers";

/** Where the guest keeps what it makes for a container, each in a folder of the container's id. */
export const GUEST_BASE = "/run/kata-containers";

/** Where the guest keeps the pod's volumes in memory, and those on disks. */
export const GUEST_MEMORY_VOLUMES = "/run/kata-containers/sandbox/ephemeral";
export const GUEST_DISK_VOLUMES = "/run/kata-containers/sandbox/storage";

/** Where the guest keeps folders that are a pod's volumes: on the disk of a pod's root, or else in its memory. */
export const GUEST_LOCAL_DISK = "/run/kata-containers/sandbox/rootfs";
export const GUEST_LOCAL_MEMORY = "/run/kata-containers/sandbox/local";

/** Where the guest keeps the pod's `/dev/shm`. */
export const GUEST_SHM = "/run/kata-containers/sandbox/shm";
