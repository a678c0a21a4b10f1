/**
 * Swap space of a guest, for containers with a swappiness.
 *
 * @module
 */

import type { Resources, Spec } from "../../oci/spec.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { type AgentClient, CALL_TIMEOUT_MS } from "../guest/agent_client.ts";
import { type Log, reason } from "../log/log.ts";
import type { SandboxDisks } from "../storage/disks.ts";
import { makeSwapFile } from "./swap_file.ts";

/** Annotations of a container (Kata's names). */
const SWAPPINESS = "io.katacontainers.container.resource.swappiness";
const SWAP_BYTES = "io.katacontainers.container.resource.swap_in_bytes";
const MOST_SWAPPINESS = 200n;

const MIB = 1_048_576;

type Memory = NonNullable<Resources["memory"]>;

/** What the swap space of one sandbox is made with. */
export interface GuestSwapOptions {
  /** where the files go; they are removed with it */
  readonly folder: string;
  /** whom the files belong to, where the monitor does not run as root */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly disks: Pick<SandboxDisks, "use">;
  readonly agent: Pick<AgentClient["agent"], "addSwap">;
  /** room for containers that ask for swap without any limit: once for all of them */
  readonly defaultMiB: number;
  readonly log: Log;
}

/** The swap space of one sandbox. It only grows: the kernel would have to read all of it back to give it up. */
export class GuestSwap {
  readonly #options: GuestSwapOptions;
  /** by container: its specification, with what updates have made of its limits */
  readonly #wishes = new Map<string, Spec>();
  #bytes = 0;
  #files = 0;
  /** one file at a time; never rejects */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: GuestSwapOptions) {
    this.#options = options;
  }

  /**
   * Gives the guest as much swap as a container asks for beside the others, in place of what it asked for before.
   *
   * @throws {RpcError} `INVALID_ARGUMENT` for an annotation
   * @throws {Error} the file cannot be made, or the monitor or the guest refuses it; nothing of it is left then
   */
  async want(id: string, spec: Spec): Promise<void> {
    const before = this.#wishes.get(id);
    this.#wishes.set(id, withSwapAnnotations(spec));
    const done = this.#turn.then(() => this.#grow());
    this.#turn = done.catch(() => {});
    try {
      await done;
    } catch (error) {
      if (before === undefined) this.#wishes.delete(id);
      else this.#wishes.set(id, before);
      throw error;
    }
  }

  /**
   * The same for a container whose limits change.
   *
   * @param resources all of its limits from now on
   * @param change what of them is new
   * @returns the change in the form for the guest
   * @throws {Error} as {@linkcode GuestSwap.want}
   */
  async update(id: string, resources: Resources, change: Resources): Promise<Resources> {
    const known = this.#wishes.get(id);
    if (known === undefined) return change;
    const spec = { ...known, linux: { ...known.linux, resources: withSwappiness(resources, known) } };
    await this.want(id, spec);
    return change.memory === undefined ? change : { ...change, memory: toldMemory(change.memory, spec) };
  }

  /** A container's specification in the form for the guest. @throws {RpcError} `INVALID_ARGUMENT` for an annotation */
  specFor(spec: Spec): Spec {
    return specWithSwap(spec);
  }

  /** A container has ended: what it had others may use. */
  forget(id: string): void {
    this.#wishes.delete(id);
  }

  async #grow(): Promise<void> {
    const limits = [...this.#wishes.values()].map(({ linux }) => linux?.resources ?? {});
    const missing = swapBytes(limits, this.#options.defaultMiB * MIB) - this.#bytes;
    if (missing <= 0) return;
    const path = `${this.#options.folder}/swap${this.#files++}`;
    try {
      await this.#add(path, missing);
    } catch (error) {
      throw new Error(`cannot give the guest ${missing} bytes of swap in "${path}": ${reason(error)}`, {
        cause: error,
      });
    }
    this.#bytes += missing;
    this.#options.log.write("info", `the guest has ${this.#bytes} bytes of swap now`);
  }

  async #add(path: string, bytes: number): Promise<void> {
    const { disks, agent, owner } = this.#options;
    await using undo = new AsyncDisposableStack();
    undo.defer(() => Deno.remove(path).catch(() => {}));
    await makeSwapFile(path, bytes, owner);
    const { source } = undo.use(
      await disks.use({ path, isDevice: false, readonly: false, driver: "virtio-blk" }),
    );
    const PCIPath = source.split("/").map((slot) => parseInt(slot, 16));
    await agent.addSwap({ PCIPath }, { timeoutMs: CALL_TIMEOUT_MS });
    undo.move();
  }
}

/**
 * Swap that containers need together, in bytes; only those with a swappiness count.
 *
 * @param fallback for those that have no limit of memory and say no size
 */
export function swapBytes(wishes: Iterable<Resources>, fallback: number): number {
  let total = 0;
  let isUnlimited = false;
  for (const { memory } of wishes) {
    if (!(Number(memory?.swappiness ?? 0) > 0)) continue;
    const limit = Math.max(Number(memory?.limit ?? 0), 0);
    const both = Math.max(Number(memory?.swap ?? 0), 0);
    if (both > 0) total += Math.max(both - limit, 0);
    else if (limit > 0) total += limit;
    else isUnlimited = true;
  }
  return total + (isUnlimited ? fallback : 0);
}

/**
 * A specification with what its annotations say about swap.
 *
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export function withSwapAnnotations(spec: Spec): Spec {
  const swappiness = count(spec, SWAPPINESS, MOST_SWAPPINESS);
  const swap = count(spec, SWAP_BYTES, BigInt(Number.MAX_SAFE_INTEGER));
  if (swappiness === undefined && swap === undefined) return spec;
  const resources = spec.linux?.resources;
  const memory = {
    ...resources?.memory,
    ...(swappiness !== undefined && { swappiness }),
    ...(swap !== undefined && { swap }),
  };
  return { ...spec, linux: { ...spec.linux, resources: { ...resources, memory } } };
}

/**
 * The specification for a guest that has swap: control groups there have no swappiness of their own, and limit swap
 * only beside memory.
 *
 * @throws {RpcError} `INVALID_ARGUMENT` for an annotation
 */
export function specWithSwap(spec: Spec): Spec {
  const annotated = withSwapAnnotations(spec);
  const resources = annotated.linux?.resources;
  if (resources?.memory === undefined) return annotated;
  const { swappiness: _swappiness, swap, ...rest } = resources.memory;
  const memory = swap === undefined || !(Number(rest.limit ?? 0) > 0) ? rest : { ...rest, swap };
  return { ...annotated, linux: { ...annotated.linux, resources: { ...resources, memory } } };
}

/** An update says nothing of a swappiness, which so stays as it was. */
function withSwappiness(resources: Resources, { linux }: Spec): Resources {
  const { swappiness } = linux?.resources?.memory ?? {};
  return swappiness === undefined ? resources : { ...resources, memory: { ...resources.memory, swappiness } };
}

/** Swap is limited beside memory, so where one of them changes the guest needs both. */
function toldMemory({ swappiness: _, swap: _swap, ...change }: Memory, spec: Spec): Memory {
  const { limit, swap } = specWithSwap(spec).linux?.resources?.memory ?? {};
  if (limit === undefined || swap === undefined) return change;
  const isNone = Number(swap) >= 0 && Number(swap) < Number(limit);
  return { ...change, limit, swap: isNone ? limit : swap };
}

function count(spec: Spec, name: string, most: bigint): number | undefined {
  const text = spec.annotations?.[name];
  if (text === undefined) return undefined;
  const isNumber = /^(\d+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+)$/.test(text);
  const value = isNumber ? BigInt(/^0[0-7]+$/.test(text) ? `0o${text.slice(1)}` : text) : undefined;
  if (value === undefined || value > most) {
    const message = `annotation "${name}" must be a whole number from 0 to ${most}: it is "${text}"`;
    throw new RpcError(Code.InvalidArgument, message);
  }
  return Number(value);
}
