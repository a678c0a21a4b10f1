/**
 * A pod that is created by containerd's Sandbox API, without a pause container.
 *
 * @module
 */

import type { Mount } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { Metrics } from "../../rpc/gen/cgroups_v2_pb.ts";
import type { CreateSandboxRequest } from "../../rpc/gen/sandbox_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { type Exit, UNKNOWN_STATUS } from "../../sandbox/exit.ts";
import { reason } from "../../sandbox/log/log.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { podConfigOf, podFiles, podSpec } from "./pod_spec.ts";
import type { Shim } from "./shim.ts";
import { sumOfMetrics, toMetrics } from "./stats.ts";

/** Where a pod is in its life. */
type State =
  | { readonly kind: "created" | "starting" }
  | { readonly kind: "running"; readonly sandbox: Sandbox; readonly at: Date }
  | { readonly kind: "stopped"; readonly exit: Exit; readonly at: Date | undefined };

/** Its status for clients. */
export interface PodStatus {
  readonly isReady: boolean;
  readonly pid: number;
  readonly createdAt: Date | undefined;
  readonly exit: Exit | undefined;
}

/** The pod of a shim. */
export class Pod {
  readonly id: string;
  readonly #shim: Shim;
  readonly #request: CreateSandboxRequest;
  readonly #exit = Promise.withResolvers<Exit>();
  readonly #abort = new AbortController();
  readonly #mounts: Mount[] = [];
  #starting: Promise<Sandbox> | undefined;
  #isGivenUp = false;
  #state: State = { kind: "created" };

  /** @throws {RpcError} `INVALID_ARGUMENT` for a configuration of another kind */
  constructor(shim: Shim, request: CreateSandboxRequest) {
    podConfigOf(request);
    this.id = request.sandboxId;
    this.#shim = shim;
    this.#request = request;
  }

  /** Settles when the pod has ended, by a client's will or without it. */
  get exited(): Promise<Exit> {
    return this.#exit.promise;
  }

  /** Whether it was never asked to start, or whoever asked did not wait for it. */
  get neverRan(): boolean {
    return this.#state.kind === "created" || this.#isGivenUp;
  }

  /** The pod's files, for containers that have none of their own. */
  get mounts(): readonly Mount[] {
    return this.#mounts;
  }

  get status(): PodStatus {
    const state = this.#state;
    return {
      isReady: state.kind === "running" && !state.sandbox.isStopped,
      pid: state.kind === "running" ? state.sandbox.pid : 0,
      createdAt: state.kind === "running" || state.kind === "stopped" ? state.at : undefined,
      exit: state.kind === "stopped" ? state.exit : undefined,
    };
  }

  /**
   * Boots the machine.
   *
   * @throws {RpcError} `FAILED_PRECONDITION` when it was started before; whatever a step says
   */
  async start(signal: AbortSignal): Promise<{ pid: number; createdAt: Date }> {
    if (this.#state.kind !== "created") {
      const text = `cannot start sandbox "${this.id}" as it must be created: it is ${this.#state.kind}`;
      throw new RpcError(Code.FailedPrecondition, text);
    }
    this.#state = { kind: "starting" };
    try {
      this.#starting = this.#boot(AbortSignal.any([signal, this.#abort.signal]));
      const sandbox = await this.#starting;
      const at = new Date();
      this.#state = { kind: "running", sandbox, at };
      sandbox.failed.then(() => this.#end(UNKNOWN_STATUS));
      return { pid: sandbox.pid, createdAt: at };
    } catch (error) {
      this.#end(UNKNOWN_STATUS);
      this.#isGivenUp = signal.aborted;
      if (signal.aborted) this.#shim.endIfForgotten();
      throw error;
    }
  }

  async #boot(signal: AbortSignal): Promise<Sandbox> {
    const { bundlePath: bundle, sandboxId: id } = this.#request;
    const config = podConfigOf(this.#request);
    for (const { destination, text } of podFiles(config)) {
      const source = `${bundle}/${destination.slice(destination.lastIndexOf("/") + 1)}`;
      await Deno.writeTextFile(source, text);
      this.#mounts.push({ destination, type: "bind", source, options: ["rbind", "rprivate", "rw"] });
    }
    return await this.#shim.makeSandbox({
      id,
      bundle,
      spec: podSpec(this.#request, config, this.#mounts),
      isPod: true,
      options: undefined,
      signal,
    });
  }

  /** Ends all containers and the machine. Safe to call again. */
  async stop(): Promise<void> {
    this.#abort.abort(new RpcError(Code.Canceled, `sandbox "${this.id}" is stopped`));
    await this.#starting?.catch(() => {});
    if (this.#state.kind === "running") await this.#state.sandbox.stop();
    this.#end(0);
  }

  /** @throws {RpcError} `UNAVAILABLE` when the pod does not run, or its guest does not answer */
  async ping(): Promise<void> {
    if (this.#state.kind !== "running") {
      throw new RpcError(Code.Unavailable, `sandbox "${this.id}" does not run: it is ${this.#state.kind}`);
    }
    try {
      await this.#state.sandbox.check();
    } catch (error) {
      throw new RpcError(Code.Unavailable, reason(error), { cause: error });
    }
  }

  /** What its containers use together. */
  async metrics(): Promise<Init<Metrics>> {
    const containers = this.#state.kind === "running" ? this.#state.sandbox.containers : [];
    // one that ends meanwhile counts no more
    const stats = await Promise.all(containers.map((container) => container.stats().catch(() => undefined)));
    return sumOfMetrics(stats.filter((one) => one !== undefined).map(toMetrics));
  }

  #end(status: number): void {
    if (this.#state.kind === "stopped") return;
    const exit = { status, at: new Date() };
    this.#state = {
      kind: "stopped",
      exit,
      at: this.#state.kind === "running" ? this.#state.at : undefined,
    };
    this.#exit.resolve(exit);
  }
}
