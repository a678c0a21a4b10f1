/**
 * Hooks of a container that run on the host, in the network namespace of its pod. The pid in their container state is
 * that of the virtual machine.
 *
 * @module
 */

import { identityOf } from "../net/namespace.ts";
import { hasHooks, type HookKind } from "../oci/hooks.ts";
import type { HookState } from "../oci/run_hooks.ts";
import type { Hooks, Spec } from "../oci/spec.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { type Log, reason } from "./log/log.ts";
import type { SavedRecord } from "./state/record.ts";
import type { SavedHooks } from "./state/state.ts";

/** Kinds that concern the host; a `startContainer` hook is a file of the container, and the guest's to run. */
const KINDS: readonly HookKind[] = ["prestart", "createRuntime", "poststart", "poststop"];

/** Whose hooks they are. */
export interface HookedContainer {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
  /** paths to the pod's network namespace: for this process (undefined: the specification's), and the client's */
  readonly network: { readonly path: string | undefined; readonly given: string | undefined };
  /** what has to be done even if this process is not there any more */
  readonly record: Pick<SavedRecord, "oweHooks" | "paidHooks">;
  readonly log: Log;
}

/** The hooks of one container. */
export class HostHooks {
  readonly #container: HookedContainer;
  #phase: "new" | "begun" | "over" = "new";
  /** The pod's, held for the last hooks: they run when everything else has let go of it. */
  #namespace: OwnedFd | undefined;

  private constructor(container: HookedContainer) {
    this.#container = container;
  }

  /** undefined: there are none for the host. */
  static of(container: HookedContainer): HostHooks | undefined {
    return hasHooks(container.spec.hooks, ...KINDS) ? new HostHooks(container) : undefined;
  }

  /** When the container is created. @throws {HookError} for the first that fails */
  async created(pid: number): Promise<void> {
    this.#phase = "begun";
    const { network, spec, record } = this.#container;
    const netns = network.path ?? networkPathOf(spec);
    if (netns) this.#namespace = new OwnedFd(openFd(netns, O.RDONLY));
    if (hasHooks(spec.hooks, "poststop")) await record.oweHooks(this.#owed());
    const { runHooks } = await this.#runner();
    for (const kind of ["prestart", "createRuntime"] as const) {
      await runHooks(kind, this.#container.spec.hooks, this.#state("creating", pid), await this.#start());
    }
  }

  /** When its program runs. @throws {HookError} for the first that fails: the container is not to go on */
  async started(pid: number): Promise<void> {
    const { runHooks } = await this.#runner();
    await runHooks("poststart", this.#container.spec.hooks, this.#state("running", pid), await this.#start());
  }

  /** When nothing is left of it. What fails is logged; another call does nothing. */
  async stopped(): Promise<void> {
    const begun = this.#phase === "begun";
    this.#phase = "over";
    if (!begun) return;
    const { id, spec, record, log } = this.#container;
    if (hasHooks(spec.hooks, "poststop")) {
      await this.#runLast();
      await record.paidHooks(id).catch((error) => log.write("warning", reason(error)));
    }
    this.#namespace?.close();
  }

  /** The hooks that remain to be run if this process dies. */
  #owed(): SavedHooks {
    const { id, bundle, spec, network } = this.#container;
    const { ociVersion, annotations, hooks } = spec;
    const namespace = this.#namespace;
    const netns = namespace && {
      path: network.given ?? networkPathOf(spec) ?? "",
      ...identityOf(`/proc/self/fd/${namespace.fd}`),
    };
    return {
      id,
      bundle,
      ociVersion,
      poststop: hooks?.poststop ?? [],
      ...(annotations && { annotations }),
      ...(netns && { netns }),
    };
  }

  async #runLast(): Promise<void> {
    const { runHooksAnyway } = await this.#runner();
    const { id, spec, log } = this.#container;
    const report = (error: string) => log.write("error", `a hook of container "${id}" failed: ${error}`);
    await runHooksAnyway("poststop", spec.hooks, this.#state("stopped"), await this.#start(), report);
  }

  /** Few containers have hooks, and every start would pay for it. */
  #runner(): Promise<typeof import("../oci/run_hooks.ts")> {
    return import("../oci/run_hooks.ts");
  }

  async #start() {
    const { startHere } = await this.#runner();
    const netns = this.#namespace && `/proc/${Deno.pid}/fd/${this.#namespace.fd}`;
    return startHere({ cwd: this.#container.bundle, ...(netns && { netns }) });
  }

  #state(status: HookState["status"], pid?: number): HookState {
    const { id, bundle, spec } = this.#container;
    const { ociVersion, annotations } = spec;
    return {
      ociVersion,
      id,
      status,
      bundle,
      ...(pid !== undefined && { pid }),
      ...(annotations && { annotations }),
    };
  }
}

function networkPathOf(spec: Spec): string | undefined {
  return spec.linux?.namespaces?.find(({ type }) => type === "network")?.path;
}

/** What the guest runs itself. */
export function guestHooks({ startContainer = [] }: Hooks): Hooks | undefined {
  return startContainer.length === 0 ? undefined : { startContainer };
}

/**
 * A program of the host cannot run in namespaces of the guest. What it would have done must not be missing in silence.
 *
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export function refuseHooks(hooks: Hooks | undefined): void {
  const [hook] = hooks?.createContainer ?? [];
  if (!hook) return;
  throw new RpcError(
    Code.InvalidArgument,
    `config.json: hooks.createContainer is not supported, as its programs are the host's and the container's ` +
      `namespaces the guest's: it has "${hook.path}"`,
  );
}
