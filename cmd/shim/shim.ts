/**
 * The state of the server: its sandbox, the containers in it, and whether it is time to exit.
 *
 * @module
 */

import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/schema.ts";
import type { Spec } from "../../oci/spec.ts";
import { parseSpec } from "../../oci/validate.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { TaskCreateSchema, TaskOOMSchema } from "../../rpc/gen/events_pb.ts";
import type { Any } from "../../rpc/gen/google/protobuf/any_pb.ts";
import type { CreateTaskRequest } from "../../rpc/gen/task_pb.ts";
import { Durations } from "../../rpc/metrics_text.ts";
import type { Container } from "../../sandbox/container.ts";
import { checkContainer } from "../../sandbox/create_container.ts";
import { createSandbox } from "../../sandbox/create_sandbox.ts";
import type { Exit } from "../../sandbox/exit.ts";
import type { Host } from "../../sandbox/host.ts";
import { clientIo } from "../../sandbox/io/open.ts";
import { type Log, reason } from "../../sandbox/log/log.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { validateId } from "../../sandbox/state/ids.ts";
import { HOST_PATHS, type HostPaths, managementSocketPath } from "../../sandbox/state/paths.ts";
import { Timer } from "../../sys/timer.ts";
import type { EventPublisher } from "./events.ts";
import { ExitReports } from "./exit_reports.ts";
import { groupOf } from "./grouping.ts";
import { configPathOf } from "./options.ts";
import type { Pod } from "./pod.ts";

/** How long an engine that died may take to come back for a sandbox that never was, in milliseconds. */
const FORGOTTEN_MS = 5_000;

/** What a server is made with. */
export interface ShimOptions {
  readonly namespace: string;
  readonly log: Log;
  readonly events: EventPublisher;
  /** called with the configuration when it is known */
  onConfig?(config: Config): void;
  /** default: the real ones */
  readonly host?: Host;
  readonly paths?: HostPaths;
  /** instead of the configuration's files */
  readonly config?: Config;
  /** how long a server without containers stays when the client that wanted one has vanished, in milliseconds */
  readonly forgottenMs?: number;
}

/** A container and its exit reports. */
export interface ShimContainer {
  readonly container: Container;
  /** shown for all of its processes: the virtual machine's */
  readonly pid: number;
  readonly reports: ExitReports;
}

/** The sandbox that a shim shall serve. */
export interface WantedSandbox {
  readonly id: string;
  readonly bundle: string;
  /** of the container that the sandbox is for */
  readonly spec: Spec;
  /** whether that container is a pod's pause container */
  readonly isPod: boolean;
  /** of the runtime, as clients send them */
  readonly options?: Any | undefined;
  readonly signal: AbortSignal;
}

/** The state of one shim server. */
export class Shim implements AsyncDisposable {
  readonly namespace: string;
  readonly events: EventPublisher;
  /** Settles when the server shall end. */
  readonly exitRequested: Promise<void>;
  /** How long task calls took, by method. */
  readonly durations = new Durations();
  readonly #options: ShimOptions;
  readonly #containers = new Map<string, ShimContainer>();
  readonly #creations = new Map<string, { abort: AbortController; done: Promise<unknown> }>();
  readonly #exit = Promise.withResolvers<void>();
  #sandbox: Sandbox | undefined;
  /** id of a sandbox that is on its way */
  #booting: string | undefined;
  #pod: Pod | undefined;
  #forgotten: Timer | undefined;
  #isEnding = false;

  constructor(options: ShimOptions) {
    this.#options = options;
    this.namespace = options.namespace;
    this.events = options.events;
    this.exitRequested = this.#exit.promise;
  }

  get log(): Log {
    return this.#options.log;
  }

  /** Whether there is no container, none on its way, and no pod that could have some. */
  get isEmpty(): boolean {
    return this.#containers.size === 0 && this.#creations.size === 0 && this.#pod === undefined;
  }

  /** The pod that was created as such. */
  get pod(): Pod | undefined {
    return this.#pod;
  }

  /** Takes the pod that this shim serves. @throws {RpcError} `ALREADY_EXISTS` */
  holdPod(pod: Pod): void {
    const other = this.#pod?.id ?? this.#sandbox?.id ?? this.#booting;
    if (other !== undefined) throw servesAlready(other);
    validateId("sandbox id", pod.id);
    this.#pod = pod;
  }

  /** @throws {RpcError} `NOT_FOUND` */
  find(id: string): ShimContainer {
    const found = this.#containers.get(id);
    if (found === undefined) throw new RpcError(Code.NotFound, `container "${id}" does not exist`);
    return found;
  }

  lookUp(id: string): ShimContainer | undefined {
    return this.#containers.get(id);
  }

  requestExit(): void {
    this.#exit.resolve();
  }

  /**
   * Creates a container, and the sandbox if it is the one that the sandbox is for.
   *
   * @param signal the caller has given up
   * @returns the pid that is shown for it
   * @throws {RpcError} and whatever a step says; nothing is left then
   */
  async create(request: CreateTaskRequest, signal: AbortSignal): Promise<number> {
    const { id } = request;
    validateId("container id", id);
    if (this.#containers.has(id) || this.#creations.has(id)) {
      throw new RpcError(Code.AlreadyExists, `container "${id}" exists already`);
    }
    const abort = new AbortController();
    const done = this.#create(request, AbortSignal.any([signal, abort.signal]));
    this.#creations.set(id, { abort, done: done.catch(() => {}) });
    try {
      return await done;
    } finally {
      this.#creations.delete(id);
      if (signal.aborted) this.endIfForgotten();
    }
  }

  /**
   * The engine has gone, perhaps before there was an answer to what it asked for. It may come back and clean up, but
   * one that does not know of this sandbox yet never will: a server with nothing to serve ends after a while.
   */
  endIfForgotten(): void {
    if (!this.#isIdle || this.#isEnding) return;
    this.#forgotten?.cancel();
    this.#forgotten = new Timer(this.#options.forgottenMs ?? FORGOTTEN_MS, () => {
      if (this.#isIdle) this.requestExit();
    });
  }

  get #isIdle(): boolean {
    const isPodless = this.#pod === undefined || this.#pod.neverRan;
    return this.#containers.size === 0 && this.#creations.size === 0 && isPodless;
  }

  async #create(request: CreateTaskRequest, signal: AbortSignal): Promise<number> {
    const { id, bundle, rootfs, terminal, stdin, stdout, stderr } = request;
    if (request.checkpoint !== "") {
      throw new RpcError(Code.Unimplemented, "containers cannot be restored from a checkpoint");
    }
    const spec = await this.#withPod(await readSpec(bundle));
    // a machine is not booted for what cannot run in it
    const group = groupOf(spec.annotations ?? {}, id);
    await checkContainer({ id, bundle, spec, rootfs }, { isPod: group.kind !== "single_container" });
    const makesSandbox = group.sandboxId === id;
    const sandbox = makesSandbox
      ? await this.makeSandbox({ ...request, spec, isPod: group.kind === "pod_sandbox", signal })
      : this.#joinSandbox(group.sandboxId);
    try {
      const io = clientIo({ terminal, stdin, stdout, stderr }, { namespace: this.namespace, id });
      const container = await sandbox.createContainer({ id, bundle, spec, rootfs, io, signal });
      const pid = container.shownPid;
      this.#containers.set(id, { container, pid, reports: new ExitReports(this.events, id, pid) });
      const names = { stdin, stdout, stderr, terminal };
      this.events.publish("/tasks/create", TaskCreateSchema, {
        containerId: id,
        bundle,
        rootfs,
        io: names,
        pid,
      });
      return pid;
    } catch (error) {
      if (makesSandbox) await this.#endSandbox();
      throw error;
    }
  }

  /** What engines do themselves for pods with a pause container. */
  async #withPod(spec: Spec): Promise<Spec> {
    if (this.#pod === undefined) return spec;
    const { withPodMounts } = await import("./pod_spec.ts");
    return withPodMounts(spec, this.#pod.mounts);
  }

  /** Boots the sandbox of this shim. @throws {RpcError} `ALREADY_EXISTS`, and whatever a step says */
  async makeSandbox(wanted: WantedSandbox): Promise<Sandbox> {
    const other = this.#sandbox?.id ?? this.#booting;
    if (other !== undefined) throw servesAlready(other);
    const { id, bundle } = wanted;
    this.#booting = id;
    try {
      this.#sandbox = await this.#boot(wanted);
    } finally {
      this.#booting = undefined;
    }
    const sandbox = this.#sandbox;
    await this.#tellAddress(bundle, id);
    this.#watchMemory(sandbox).catch((error) => this.log.write("warning", reason(error)));
    return sandbox;
  }

  async #boot(wanted: WantedSandbox): Promise<Sandbox> {
    const { log, host, paths } = this.#options;
    const { id, bundle, isPod, spec, signal } = wanted;
    const config = this.#options.config ?? await this.#loadConfig(wanted);
    this.#options.onConfig?.(config);
    const taskDurations = this.durations;
    return await createSandbox({ id, bundle, isPod, spec, config, log, signal, host, paths, taskDurations });
  }

  /** CRI-O takes no events: it looks for this file as soon as it knows that a container has ended. */
  #markOutOfMemory(containerId: string): void {
    const bundle = this.#containers.get(containerId)?.container.bundle;
    if (bundle === undefined) return;
    try {
      Deno.writeTextFileSync(`${bundle}/oom`, "");
    } catch (error) {
      this.log.write("warning", `cannot write "${bundle}/oom": ${reason(error)}`);
    }
  }

  /** Where tools find the management socket. */
  async #tellAddress(bundle: string, id: string): Promise<void> {
    const path = managementSocketPath(this.#options.paths ?? HOST_PATHS, id);
    try {
      await Deno.writeTextFile(`${bundle}/monitor_address`, `unix://${path}`);
    } catch (error) {
      this.log.write("warning", `cannot write "${bundle}/monitor_address": ${reason(error)}`);
    }
  }

  async #loadConfig({ options, spec }: WantedSandbox): Promise<Config> {
    const { config, path, warnings } = await loadConfig({
      explicit: configPathOf(options),
      annotations: spec.annotations,
    });
    this.log.write("info", `configuration: ${path}`);
    for (const warning of warnings) this.log.write("warning", `configuration: ${warning}`);
    return config;
  }

  #joinSandbox(id: string): Sandbox {
    if (this.#sandbox?.id === id) return this.#sandbox;
    throw new RpcError(Code.FailedPrecondition, `sandbox "${id}" is not served by this shim`);
  }

  /** Deletes a container that has ended; the one that the sandbox is for takes the sandbox with it. */
  async delete(id: string): Promise<Exit> {
    const { container } = this.find(id);
    const exit = await container.delete();
    if (this.#sandbox?.id === id) await this.#endSandbox();
    this.#containers.delete(id);
    return exit;
  }

  /** Gives up a container that is being created. */
  async cancelCreation(id: string): Promise<void> {
    const creation = this.#creations.get(id);
    creation?.abort.abort(new RpcError(Code.Canceled, `the creation of container "${id}" was given up`));
    await creation?.done;
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#forgotten?.cancel();
    await Promise.all([...this.#creations.keys()].map((id) => this.cancelCreation(id)));
    await this.#endSandbox();
    await Promise.all([...this.#containers.values()].map(({ reports }) => reports.initReported()));
  }

  async #endSandbox(): Promise<void> {
    const sandbox = this.#sandbox;
    await sandbox?.[Symbol.asyncDispose]();
    if (this.#sandbox === sandbox) this.#sandbox = undefined;
  }

  async #watchMemory(sandbox: Sandbox): Promise<void> {
    for await (const containerId of sandbox.outOfMemory()) {
      this.events.publish("/tasks/oom", TaskOOMSchema, { containerId }, containerId);
      if (!this.events.hasReader) this.#markOutOfMemory(containerId);
    }
  }
}

function servesAlready(id: string): RpcError {
  return new RpcError(Code.AlreadyExists, `this shim serves sandbox "${id}" already`);
}

/** @throws {SpecError} it is not one; {@linkcode RpcError} it cannot be read */
async function readSpec(bundle: string): Promise<Spec> {
  const path = `${bundle}/config.json`;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw new RpcError(Code.InvalidArgument, `cannot read "${path}": ${reason(error)}`, { cause: error });
  }
  return parseSpec(text, "config.json");
}
