/**
 * A host for tests: nothing is mounted, no process is started, and what is taken and given back is written down.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";
import { Settings } from "../../config/settings.ts";
import type { Spec } from "../../oci/spec.ts";
import type { Disk, HostDevice, Vm, VmConfig, VmExit } from "../../vm/vmm.ts";
import type { SandboxCgroups } from "../cgroups/cgroups.ts";
import type { VfioHost } from "../devices/vfio.ts";
import type { Helper, Host } from "../host.ts";
import { type NetworkOptions, SandboxNetwork } from "../network/network.ts";
import type { HostPaths } from "../state/paths.ts";
import { FakeGuest } from "./fake_guest.ts";

/** A pid that no process has. */
const NO_PID = 4_194_303;

/** The host and the guest behind it. */
export class FakeHost implements Host, AsyncDisposable {
  readonly guest = new FakeGuest();
  /** what was taken and given back, in order */
  readonly steps: string[] = [];
  readonly folder = Deno.makeTempDirSync({ prefix: "kata-test-" });
  readonly paths: HostPaths = {
    state: `${this.folder}/sbs`,
    vm: `${this.folder}/vm`,
    shared: `${this.folder}/shared`,
  };
  /** what the machine has now */
  readonly size = { vcpus: 1, memoryMiB: 256 };
  readonly bundle = `${this.folder}/bundle`;
  #standIns = 0;
  readonly #vmExit = Promise.withResolvers<VmExit>();
  readonly #shareServerExit = Promise.withResolvers<void>();
  /** what the n-th try to reach the agent does; default: it works */
  connect: () => Promise<void> = () => Promise.resolve();
  /** where the host has its files about devices; default: where this host has them */
  vfio: VfioHost | undefined;
  /** devices of the host that the machine was booted with */
  atBoot: readonly string[] = [];
  ports: VmConfig["ports"];
  /** the machine's process */
  vmPid = NO_PID;
  /** steps that fail */
  readonly failing = new Set<string>();

  constructor() {
    Deno.mkdirSync(`${this.bundle}/rootfs`, { recursive: true });
  }

  #step(name: string): void {
    if (this.failing.has(name)) throw new Error(`${name} fails`);
    this.steps.push(name);
  }

  /** None: they would be the test's own. */
  planCgroups(): SandboxCgroups {
    return {
      folders: [],
      hasThreads: false,
      enter: () => Promise.resolve(),
      confine: () => {},
      placeThreads: () => {},
      bind: () => {},
      useDevice: () => ({ [Symbol.dispose]: () => {} }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  /** None: the machine would stay in the namespace of the test. */
  openNetwork(options: NetworkOptions): Promise<SandboxNetwork> {
    const runtime = { ...options.config.runtime, disable_new_netns: true };
    return SandboxNetwork.open({ ...options, config: { ...options.config, runtime } });
  }

  startVm(config: VmConfig): Promise<Vm> {
    this.#step("vm");
    this.ports = config.ports;
    this.atBoot = config.hostDevices?.map(({ address }) => address) ?? [];
    Object.assign(this.size, { vcpus: config.vcpus, memoryMiB: config.memoryMiB });
    const stop = () => {
      this.steps.push("stop vm");
      this.guest.disconnect();
      this.#endVm("stopped", "stopped");
      return this.failing.has("stop vm") ? Promise.reject(new Error("stop vm fails")) : Promise.resolve();
    };
    const { size } = this;
    return Promise.resolve({
      pid: this.vmPid,
      pids: [this.vmPid],
      accelerator: "tcg",
      agentTransport: "virtio-serial",
      agentUrl: `virtio-serial://${this.folder}/vm/kata.sock`,
      consoleTail: ["Linux version 6.1", "waiting"],
      exited: this.#vmExit.promise,
      connectAgent: async () => {
        await this.connect();
        return this.guest.connect();
      },
      get vcpus() {
        return size.vcpus;
      },
      get memoryMiB() {
        return size.memoryMiB;
      },
      addDisk: ({ path, readonly }: Disk) => {
        this.#step(`disk ${path}${readonly ? " read-only" : ""}`);
        return Promise.resolve({
          address: { kind: "scsi", address: "0:0" },
          resize: (bytes: number) => Promise.resolve(this.#step(`resize disk ${path} to ${bytes}`)),
          [Symbol.asyncDispose]: () => this.#release(`take disk ${path}`),
        });
      },
      hostDevices: {
        pathOf: ({ address }: HostDevice) => Promise.resolve(`boot of ${address}`),
        add: ({ address }: HostDevice) => {
          this.#step(`device ${address}`);
          return Promise.resolve({
            path: `port of ${address}`,
            [Symbol.asyncDispose]: () => this.#release(`take device ${address}`),
          });
        },
      },
      vcpuThreads: () => Promise.resolve([]),
      resizeCpus: (wanted: number) => {
        this.#step(`${wanted} CPUs`);
        return Promise.resolve(size.vcpus = wanted);
      },
      resizeMemory: (wanted: number) => {
        this.#step(`${wanted} MiB`);
        return Promise.resolve(size.memoryMiB = wanted);
      },
      pause: () => Promise.resolve(),
      resume: () => Promise.resolve(),
      stop,
      [Symbol.asyncDispose]: stop,
    });
  }

  /** The machine dies. */
  killVm(message = "killed"): void {
    this.guest.disconnect();
    this.#endVm("failed", message);
  }

  #endVm(cause: VmExit["cause"], message: string): void {
    this.#vmExit.resolve({ cause, status: { code: 0, signal: 9 }, message, consoleTail: [] });
  }

  killShareServer(): void {
    this.#shareServerExit.resolve();
  }

  prepareShare(): ReturnType<Host["prepareShare"]> {
    this.#step("share");
    return Promise.resolve({
      exported: `${this.folder}/exported`,
      addRootfs: (id: string) => {
        this.#step(`share rootfs of ${id}`);
        return Promise.resolve(`/guest/${id}/rootfs`);
      },
      addMount: (id: string, mount: { destination: string }) => {
        this.#step(`share ${mount.destination} of ${id}`);
        return Promise.resolve(`/guest/${id}${mount.destination}`);
      },
      addSandboxMounts: (sources: readonly string[]) => {
        for (const source of sources) this.#step(`share ${source} with all`);
        return Promise.resolve();
      },
      addWatchable: () => Promise.resolve("/guest/watchable"),
      remove: (id: string) => this.#release(`unshare ${id}`),
      [Symbol.asyncDispose]: () => this.#release("unshare"),
    });
  }

  startShareServer(): Promise<Helper> {
    this.#step("virtiofsd");
    return Promise.resolve({
      pid: NO_PID,
      exited: this.#shareServerExit.promise,
      [Symbol.asyncDispose]: () => this.#release("stop virtiofsd"),
    });
  }

  startStandIn(): ReturnType<Host["startStandIn"]> {
    this.#step("stand-in");
    return Promise.resolve({
      pid: NO_PID - ++this.#standIns,
      [Symbol.asyncDispose]: () => this.#release("end stand-in"),
    });
  }

  mountRootfs(mountPoint: string): ReturnType<Host["mountRootfs"]> {
    this.#step("mount rootfs");
    return Promise.resolve({
      path: mountPoint,
      [Symbol.asyncDispose]: () => this.#release("unmount rootfs"),
    });
  }

  #release(name: string): Promise<void> {
    this.steps.push(name);
    return Promise.resolve();
  }

  /** Files of sandboxes that are still there. */
  left(): string[] {
    return [this.paths.state, this.paths.vm].flatMap((folder) => {
      try {
        return [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
      } catch {
        return [];
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.guest.disconnect();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A configuration with everything that a test does not care about. */
export function testConfig(
  change: { dial_timeout?: number; shared_fs?: "virtio-fs" | "virtio-9p" } = {},
): Config {
  const config = new Settings("qemu", "test.toml").config();
  Object.assign(config.hypervisor, {
    path: "/usr/bin/qemu",
    kernel: "/boot/vmlinux",
    initrd: "/boot/initrd",
    accelerator: "tcg",
    default_maxvcpus: 1,
    default_memory: 256,
    default_maxmemory: 1024,
    shared_fs: change.shared_fs ?? "virtio-fs",
    virtio_fs_daemon: "/usr/bin/virtiofsd",
    seccompsandbox: "",
  });
  Object.assign(config.runtime, { internetworking_model: "none", disable_guest_seccomp: true });
  if (change.dial_timeout !== undefined) config.agent.dial_timeout = change.dial_timeout;
  return config;
}

/** A spec that runs `sh`. */
export function testSpec(change: Partial<Spec> = {}): Spec {
  return {
    ociVersion: "1.1.0",
    process: { user: { uid: 0, gid: 0 }, args: ["sh"], cwd: "/" },
    root: { path: "rootfs" },
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }] },
    ...change,
  };
}
