/**
 * What a sandbox takes from the host: a virtual machine, a shared folder and its server, mounts.
 *
 * They are handed in as one object, so that a test can put a guest of its own behind them.
 *
 * @module
 */

import type { Rootfs, RootfsMount } from "../fs/rootfs.ts";
import type { Vm, VmConfig } from "../vm/vmm.ts";
import type { CgroupOptions, SandboxCgroups } from "./cgroups/cgroups.ts";
import type { VfioHost } from "./devices/vfio.ts";
import type { NetworkOptions, SandboxNetwork } from "./network/network.ts";

/** A file or folder that a container sees. */
export interface SharedSource {
  readonly source: string;
  readonly destination: string;
  readonly readonly: boolean;
  /** with what is mounted below it, and with what will be */
  readonly recursive: boolean;
  readonly follows: boolean;
}

/** The folder that the guest sees. */
export interface Share extends AsyncDisposable {
  /** what is served */
  readonly exported: string;
  /** @returns where the guest finds it */
  addRootfs(containerId: string, source: string): Promise<string>;
  /** @returns where the guest finds it; undefined for what no guest can have */
  addMount(containerId: string, mount: SharedSource): Promise<string | undefined>;
  /** Shows files and folders to the guest, read-only, each by the last part of its path in `sandbox-mounts`. */
  addSandboxMounts(sources: readonly string[]): Promise<void>;
  /** @returns where the guest keeps copies of what containers watch */
  addWatchable(): Promise<string>;
  /** Takes back everything that was added for a container. */
  remove(containerId: string): Promise<void>;
}

/** A helper process of a sandbox. */
export interface Helper extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<unknown>;
}

/** How to serve a folder by virtio-fs. */
export interface ShareServerOptions {
  readonly path: string;
  readonly sharedDir: string;
  readonly socketPath: string;
  readonly cache: string;
  readonly extraArgs: readonly string[];
  readonly netns?: string;
  onLog(line: string): void;
}

/** The host, as a sandbox needs it. */
export interface Host {
  /** @throws {RpcError} there cannot be what was asked for */
  planCgroups(options: CgroupOptions): SandboxCgroups;
  openNetwork(options: NetworkOptions): Promise<SandboxNetwork>;
  startVm(config: VmConfig): Promise<Vm>;
  prepareShare(sandboxId: string, folder: string): Promise<Share>;
  startShareServer(options: ShareServerOptions): Promise<Helper>;
  /** default: where this host has them */
  readonly vfio?: VfioHost | undefined;
  /** A process that does nothing, in the network namespace of the one with this pid. */
  startStandIn(pid: number): Promise<AsyncDisposable & { readonly pid: number }>;
  mountRootfs(mountPoint: string, mounts: readonly RootfsMount[]): Promise<Rootfs>;
}
