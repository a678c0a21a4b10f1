/**
 * The request that creates the sandbox in the guest.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";
import type { Mount, Spec } from "../../oci/spec.ts";
import type { CreateSandboxRequest, Storage } from "../../rpc/gen/agent_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { statfs } from "../../sys/statfs.ts";
import { GUEST_SHARED_FOLDER, GUEST_SHM } from "../state/paths.ts";
import { shmSize } from "../storage/mounts.ts";

/** Tag by which the guest finds the shared folder. */
export const SHARE_TAG = "kataShared";

/** Longest host name of a Linux kernel. */
const MAX_HOSTNAME = 64;

/**
 * @param id of the sandbox; the container with the same id only keeps a pod's namespaces and is not watched for
 * memory, so a container that is not in a pod has none
 */
export function sandboxRequest(id: string, spec: Spec, config: Config): Init<CreateSandboxRequest> {
  const mounts = spec.mounts ?? [];
  return {
    sandboxId: id,
    hostname: (spec.hostname ?? "").slice(0, MAX_HOSTNAME),
    dns: resolverLines(mounts),
    storages: [...shareStorage(config), shmStorage(mounts)],
    // the container that would have them is not in the guest
    sysctls: id === "" ? {} : { ...spec.linux?.sysctl },
    guestHookPath: config.hypervisor.guest_hook_path,
    kernelModules: config.agent.kernel_modules.map(kernelModule),
  };
}

/** Longest file with servers' names that is read, in bytes. */
const MAX_RESOLVER_BYTES = 65_536;

/** The lines of the file that the pod has as its `/etc/resolv.conf`. */
function resolverLines(mounts: readonly Mount[]): string[] {
  const source = mounts.find(({ destination }) => destination === "/etc/resolv.conf")?.source;
  if (source === undefined) return [];
  try {
    // whatever a mount brings: a pipe, or a device, would be read for ever
    const { isFile, size } = Deno.statSync(source);
    if (!isFile || size > MAX_RESOLVER_BYTES) return [];
    return Deno.readTextFileSync(source).split("\n").filter((line) => line !== "");
  } catch {
    // a source that is missing is the mount's to complain about
    return [];
  }
}

/** `name parameter…` */
function kernelModule(text: string): { name: string; parameters: string[] } {
  const [name = "", ...parameters] = text.split(/\s+/).filter((word) => word !== "");
  return { name, parameters };
}

function shareStorage({ hypervisor }: Config): Init<Storage>[] {
  const common = { source: SHARE_TAG, mountPoint: GUEST_SHARED_FOLDER };
  switch (hypervisor.shared_fs) {
    case "virtio-fs":
      return [{
        ...common,
        driver: "virtio-fs",
        fstype: "virtiofs",
        options: hasWindow(hypervisor) ? ["dax"] : [],
      }];
    case "virtio-9p": {
      const options = ["trans=virtio,version=9p2000.L,cache=mmap", "nodev", `msize=${hypervisor.msize_9p}`];
      return [{ ...common, driver: "9p", fstype: "9p", options }];
    }
    default:
      return [];
  }
}

/** Whether the guest maps files of the host through a window, instead of copying them. */
export function hasWindow(hypervisor: Config["hypervisor"]): boolean {
  const { virtio_fs_cache: cache, virtio_fs_cache_size: size } = hypervisor;
  return size > 0 && cache !== "never" && cache !== "metadata";
}

/** Size of the file system that a path is on, in bytes. */
function fileSystemSize(path: string): number | undefined {
  try {
    const { blocks, blockSize } = statfs(path);
    return blocks * blockSize;
  } catch {
    return undefined;
  }
}

function shmStorage(mounts: readonly Mount[]): Init<Storage> {
  const size = shmSize(mounts, fileSystemSize);
  return {
    driver: "ephemeral",
    source: "shm",
    fstype: "tmpfs",
    mountPoint: GUEST_SHM,
    options: ["noexec", "nosuid", "nodev", "mode=1777", `size=${size}`],
  };
}
