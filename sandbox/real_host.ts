/**
 * The host as it is: QEMU, virtiofsd, mounts.
 *
 * @module
 */

import { mountRootfs } from "../fs/rootfs.ts";
import { SharedFolder } from "../fs/share.ts";
import { startVirtiofsd } from "../fs/virtiofsd.ts";
import { qemu } from "../vm/qemu/qemu.ts";
import { planCgroups } from "./cgroups/cgroups.ts";
import type { Host } from "./host.ts";
import { SandboxNetwork } from "./network/network.ts";

/** What sandboxes are made from, unless a test says otherwise. */
export const realHost: Host = {
  planCgroups,
  openNetwork: (options) => SandboxNetwork.open(options),
  startVm: (config) => qemu.start(config),
  prepareShare: (sandboxId, folder) => SharedFolder.prepare(sandboxId, folder),
  startShareServer: (options) => startVirtiofsd(options),
  startStandIn: async (pid) => await (await import("./stand_in.ts")).startStandIn(pid),
  mountRootfs: (mountPoint, mounts) => mountRootfs(mountPoint, mounts),
};
