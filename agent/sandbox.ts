import { PACKET_FILTER_MODULES } from "../sys/module_names.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { SIGNALS } from "../sys/signals.ts";
import { hasHooks, HOOK_KINDS } from "../oci/hooks.ts";
import type { Hooks, Spec } from "../oci/spec.ts";
import { jsonText } from "../oci/validate.ts";
import { specFromWire } from "../oci/wire.ts";
import type { CreateContainerRequest, CreateSandboxRequest, Storage } from "../rpc/gen/agent_pb.ts";
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from "./errors.ts";
import type { DeviceFinder } from "./devices/devices.ts";
import { removeCopies } from "./copies.ts";
import { setDns } from "./dns.ts";
import { sysctlWrites } from "./container/plan/sysctl.ts";
import { GuestContainer } from "./guest_container.ts";
import { scanGuestHooks, withGuestHooks } from "./guest_hooks.ts";
import type { Logger } from "./log.ts";
import { SandboxNamespaces, type Setting } from "./namespaces.ts";
import { OomWatch } from "./oom.ts";
import { openStreams } from "./process_io.ts";
import { makeFolderBeneath, namesBelow, openBeneath } from "./storage/beneath.ts";
import { SharedPids } from "./shared_pids.ts";
import { isDiskDriver, WATCHABLE } from "./storage/drivers.ts";
import { forgetShared } from "./storage/forget_shared.ts";
import { Storages } from "./storage/storages.ts";
import { removeTree } from "./storage/tree.ts";
import type { PreparedStorages, WatchedFolders } from "./storage/watched.ts";
import { checkContainerId, refuseUnsupported, refuseUnsupportedSandbox } from "./request_checks.ts";

/** What the machine can do for a sandbox. */
export interface Devices {
  /** Sees to it that drivers are there, by their names as kernel modules. */
  need(...names: readonly string[]): void;
  /** The same for those that most guests never need. */
  needMore?(...names: readonly string[]): void;
  /** Loads a kernel module with parameters. */
  loadByName(name: string, parameters: readonly string[]): void;
}

/** What a sandbox is made with. */
export interface SandboxOptions {
  /** Folder of everything the agent makes. */
  readonly base: string;
  /** Capacity of stdio pipes in bytes; 0 = the kernel's default. */
  readonly pipeSize: number;
  /** Folder of the cgroup that those of containers are made in. */
  readonly cgroupRoot: string;
  readonly devices: Devices;
  /** How long something that is being plugged in may take to appear, in milliseconds. */
  readonly hotplugTimeoutMs: number;
  readonly log: Logger;
}

type State =
  | { readonly kind: "absent" | "destroyed" }
  | {
    readonly kind: "ready";
    readonly id: string;
    readonly namespaces: SandboxNamespaces;
    readonly oom: OomWatch;
    readonly guestHooks: Hooks;
    readonly resources: DisposableStack;
  };

type Ready = Extract<State, { kind: "ready" }>;

/** A container that is there or on its way. */
interface Slot {
  container: GuestContainer | undefined;
  /** Settles when it is known whether there will be one. */
  readonly settled: Promise<void>;
}

/** The pod: one per guest. Owns what its containers share, and the containers. */
export class Sandbox {
  readonly storages: Storages;
  readonly #options: SandboxOptions;
  readonly #containers = new Map<string, Slot>();
  #deviceFinder: Promise<DeviceFinder> | undefined;
  #sharedPids: Promise<SharedPids> | undefined;
  #watched: Promise<WatchedFolders> | undefined;
  #containerModule: Promise<typeof import("./container/container.ts")> | undefined;
  #state: State = { kind: "absent" };

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.storages = new Storages(options.base, options.devices, options.log);
  }

  /**
   * Makes what the containers are going to share. If a step fails, those before it are undone, and it can be tried again.
   *
   * @throws {RpcError} `AlreadyExists` for a second sandbox
   */
  create(request: CreateSandboxRequest): void {
    if (this.#state.kind !== "absent") {
      throw alreadyExists(`the sandbox exists already: it is ${this.#state.kind}`);
    }
    refuseUnsupportedSandbox(request);
    this.#state = this.#create(request);
    this.#options.log.info("sandbox created", { id: request.sandboxId });
  }

  /**
   * Creates a container whose process waits to be started.
   *
   * @param signal aborted when nobody waits for the answer any more: then the container is removed again
   * @throws {RpcError} `AlreadyExists`, `InvalidArgument`, `FailedPrecondition` without a sandbox
   */
  async createContainer(request: CreateContainerRequest, signal?: AbortSignal): Promise<void> {
    const id = checkContainerId(request.containerId);
    refuseUnsupported(request);
    if (!request.OCI) throw invalidArgument(`container "${id}" needs a specification: "OCI" is missing`);
    const spec = specFromWire(request.OCI);
    // it may filter packets, and a guest has nobody whom the kernel could ask for modules then
    if (spec.process?.capabilities?.bounding?.includes("CAP_NET_ADMIN")) {
      this.#options.devices.needMore?.(...PACKET_FILTER_MODULES);
    }
    const sandbox = this.#ready(`create container "${id}"`);
    if (this.#containers.has(id)) throw alreadyExists(`container "${id}" exists already`);
    const settled = Promise.withResolvers<void>();
    const slot: Slot = { container: undefined, settled: settled.promise };
    this.#containers.set(id, slot);
    try {
      const container = await this.#make(id, spec, request, sandbox);
      if (signal?.aborted) {
        await container.remove(0);
        throw signal.reason;
      }
      slot.container = container;
    } catch (error) {
      this.#containers.delete(id);
      throw error;
    } finally {
      settled.resolve();
    }
  }

  /** @throws {RpcError} `NotFound`, also while it is being created */
  container(id: string): GuestContainer {
    const container = this.#containers.get(id)?.container;
    if (container) return container;
    throw notFound(`container "${id}" does not exist`);
  }

  /**
   * Removes a container; one that is just being created is waited for.
   *
   * @param timeoutMs for its processes to die; 0 = any time
   */
  async remove(id: string, timeoutMs: number): Promise<void> {
    await this.#containers.get(id)?.settled;
    const container = this.container(id);
    await container.remove(timeoutMs);
    // Somebody else may have removed it as well, and a new one may have its id by now.
    if (this.#containers.get(id)?.container === container) this.#containers.delete(id);
  }

  /** Waits for the next container that the out-of-memory killer has struck. */
  nextOom(signal?: AbortSignal): Promise<string> {
    return this.#ready("wait for an out-of-memory event").oom.next(signal);
  }

  /** Removes all containers and gives everything up. @throws {RpcError} `FailedPrecondition` the second time */
  async destroy(): Promise<void> {
    if (this.#state.kind === "destroyed") throw failedPrecondition("the sandbox is destroyed already");
    const state = this.#state;
    this.#state = { kind: "destroyed" };
    if (state.kind === "ready") state.oom[Symbol.dispose]();
    await Promise.all([...this.#containers].map(([id, slot]) => this.#removeAtEnd(id, slot)));
    await (await this.#sharedPids)?.[Symbol.asyncDispose]();
    if (state.kind === "ready") state.resources.dispose();
    this.storages[Symbol.dispose]();
  }

  /** What cannot be removed must not keep the rest, and in the end the machine, alive. */
  async #removeAtEnd(id: string, slot: Slot): Promise<void> {
    try {
      await slot.settled;
      await slot.container?.remove(0);
    } catch (error) {
      this.#options.log.error("cannot remove a container", { id, error: String(error) });
    }
    this.#containers.delete(id);
  }

  #create(request: CreateSandboxRequest): Ready {
    const { base, devices, log } = this.#options;
    for (const { name, parameters } of request.kernelModules) devices.loadByName(name, parameters);
    using taken = new DisposableStack();
    const namespaces = taken.use(SandboxNamespaces.create(request.hostname, podSettings(request.sysctls)));
    const oom = taken.use(new OomWatch());
    taken.use(this.storages.acquire(request.storages, undefined));
    taken.use(setDns(request.dns, `${base}/sandbox`));
    // They may lie in one of the storages.
    const guestHooks = scanGuestHooks(request.guestHookPath, log);
    log.debug("sandbox has its parts", { storages: request.storages.length });
    return { kind: "ready", id: request.sandboxId, namespaces, oom, guestHooks, resources: taken.move() };
  }

  async #make(
    id: string,
    spec: Spec,
    request: CreateContainerRequest,
    sandbox: Ready,
  ): Promise<GuestContainer> {
    await using undo = new AsyncDisposableStack();
    const resources = undo.use(new DisposableStack());
    const pid = await this.#joinedPids(request, resources);
    const bundle = this.#makeBundle(id, resources);
    resources.defer(() => removeCopies(this.#options.base, id));
    resources.defer(() => forgetShared(this.#options.base, id, this.#options.log));
    const { storages, equipped } = await this.#withDevices(spec, request);
    const watched = await this.#withWatched(storages);
    resources.use(this.storages.acquire(watched?.storages ?? storages, id));
    if (watched !== undefined) resources.use(watched.begin());
    checkRoot(spec, bundle);
    const hooked = withGuestHooks(equipped, sandbox.guestHooks);
    if (hasHooks(hooked.hooks, ...HOOK_KINDS)) {
      Deno.writeTextFileSync(`${bundle}/config.json`, jsonText(hooked));
    }
    const { log, cgroupRoot, pipeSize } = this.#options;
    using streams = openStreams(spec.process, pipeSize);
    const namespaces = {
      ipc: sandbox.namespaces.ipc.fd,
      uts: sandbox.namespaces.uts.fd,
      ...(pid === undefined ? {} : { pid }),
    };
    const { Container } = await this.#loadContainers();
    const io = streams.child.stdio;
    const created = await Container.create({ id, bundle, spec: hooked, io, namespaces, log, cgroupRoot });
    const container = undo.adopt(created, () => created.destroy());
    if (this.#state !== sandbox) {
      throw failedPrecondition(`the sandbox of container "${id}" was destroyed meanwhile`);
    }
    // In a namespace of its own the kernel does that; here the others of the container would go on without their first.
    if (pid !== undefined) created.init.exit.then(() => created.signalAll(SIGNALS.SIGKILL));
    if (id !== sandbox.id) {
      resources.use(sandbox.oom.watch(id, container.cgroupPath));
      // before anybody is told of the end
      created.init.exit.then(() => sandbox.oom.look(id));
    }
    const made = new GuestContainer(id, { container, io: streams.take(), resources, pipeSize });
    // Everything is the container's from here on.
    undo.move();
    return made;
  }

  /** Loaded with the first container, so that the agent answers sooner. */
  #loadContainers(): Promise<typeof import("./container/container.ts")> {
    return this.#containerModule ??= import("./container/container.ts");
  }

  /** Waits for what was plugged in for a container. */
  async #withDevices(
    spec: Spec,
    { devices, storages }: CreateContainerRequest,
  ): Promise<{ storages: readonly Storage[]; equipped: Spec }> {
    const hasDisks = storages.some(({ driver }) => isDiskDriver(driver));
    if (devices.length === 0 && !hasDisks) return { storages, equipped: spec };
    const finder = await this.deviceFinder();
    return {
      storages: await finder.withDisks(storages),
      equipped: await finder.withDevices(spec, devices),
    };
  }

  /** Reads the folders that are to be watched; without any there is nothing to load. */
  async #withWatched(storages: readonly Storage[]): Promise<PreparedStorages | undefined> {
    if (storages.every(({ driver }) => driver !== WATCHABLE)) return undefined;
    const { base, log } = this.#options;
    this.#watched ??= import("./storage/watched.ts").then((module) =>
      new module.WatchedFolders({ base, log })
    );
    return await (await this.#watched).prepare(storages);
  }

  /** Is loaded when it is used first: most sandboxes have no devices of their own. */
  deviceFinder(): Promise<DeviceFinder> {
    const { devices, hotplugTimeoutMs } = this.#options;
    return this.#deviceFinder ??= import("./devices/devices.ts").then(({ DeviceFinder }) =>
      new DeviceFinder(devices, hotplugTimeoutMs)
    );
  }

  #makeBundle(id: string, taken: DisposableStack): string {
    const { base } = this.#options;
    const path = `${base}/${id}`;
    const { folder, made } = makeFolderBeneath(base, namesBelow(base, path, "the bundle"));
    folder.close();
    // Whatever else lies in the agent's folder is not to be removed with the container.
    if (!made) throw invalidArgument(`container id "${id}" cannot be used as "${path}" exists`);
    taken.defer(() => {
      using above = openBeneath(base, []);
      if (!removeTree(above.fd, id)) this.#options.log.warn("the bundle is not empty", { path });
    });
    return path;
  }

  /** The pid namespace of others that a container wants to be in, if it does. */
  async #joinedPids(
    { containerId, pidContainer, sandboxPidns }: CreateContainerRequest,
    taken: DisposableStack,
  ): Promise<number | undefined> {
    if (pidContainer === "") return sandboxPidns ? (await this.#sharedPidNamespace()).fd : undefined;
    const { pid } = this.container(pidContainer).init;
    try {
      return taken.use(new OwnedFd(openFd(`/proc/${pid}/ns/pid`, O.RDONLY))).fd;
    } catch (error) {
      const what = `container "${containerId}" cannot join the processes of "${pidContainer}"`;
      throw failedPrecondition(`${what}, which has ended`, { cause: error });
    }
  }

  /** Made for the first container that wants it. */
  #sharedPidNamespace(): Promise<SharedPids> {
    return this.#sharedPids ??= SharedPids.create().catch((error) => {
      this.#sharedPids = undefined;
      throw error;
    });
  }

  #ready(what: string): Ready {
    if (this.#state.kind === "ready") return this.#state;
    throw failedPrecondition(`cannot ${what} as there is no sandbox: it is ${this.#state.kind}`);
  }
}

/** The pod has ipc and uts namespaces of its own, and the machine's network. */
function podSettings(sysctls: Readonly<Record<string, string>>): Setting[] {
  return sysctlWrites(sysctls, { ipc: "new", uts: "new", user: "inherit" });
}

/** Said before anything is tried with it: the most likely mistake of a host that shares folders. */
function checkRoot({ root }: Spec, bundle: string): void {
  const path = root.path.startsWith("/") ? root.path : `${bundle}/${root.path}`;
  try {
    if (Deno.statSync(path).isDirectory) return;
  } catch (error) {
    throw invalidArgument(`root.path must be a folder in the guest: "${path}" is not there`, {
      cause: error,
    });
  }
  throw invalidArgument(`root.path must be a folder in the guest: "${path}" is none`);
}
