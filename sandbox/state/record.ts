/**
 * The saved state of a running sandbox, kept up to date.
 *
 * @module
 */

import type { Log } from "../log/log.ts";
import { replay } from "./cleanup.ts";
import type { HostPaths } from "./paths.ts";
import { bootId, identify } from "./process_identity.ts";
import { type SavedHooks, type SavedSandbox, STATE_VERSION } from "./state.ts";
import { StateFile } from "./state_file.ts";

/** Parts of the state that change. */
export type SavedChange = Partial<Pick<SavedSandbox, "state" | "containers" | "network">>;

/** The state file and what is in it. */
export class SavedRecord implements AsyncDisposable {
  readonly #file: StateFile;
  readonly #log: Log;
  #saved: SavedSandbox;

  private constructor(file: StateFile, saved: SavedSandbox, log: Log) {
    this.#file = file;
    this.#saved = saved;
    this.#log = log;
  }

  /**
   * Makes this process the owner of a sandbox id.
   *
   * @param cgroups on the host that will be the sandbox's
   * @throws {RpcError} `ALREADY_EXISTS` when another one is
   */
  static async open(
    paths: HostPaths,
    sandbox: { readonly id: string; readonly bundle: string },
    { folders, cgroups }: Pick<SavedSandbox, "folders" | "cgroups">,
    log: Log,
  ): Promise<SavedRecord> {
    const { id, bundle } = sandbox;
    await using taken = new AsyncDisposableStack();
    const file = taken.use(await StateFile.acquire(paths.state, id, replay, log));
    const owner = identify(Deno.pid);
    if (owner === undefined) throw new Error("cannot read /proc/self/stat");
    const saved: SavedSandbox = {
      version: STATE_VERSION,
      id,
      bundle,
      state: "creating",
      bootId: bootId(),
      owner,
      helpers: [],
      mounts: [],
      folders,
      cgroups,
      containers: [],
    };
    await file.save(saved);
    taken.move();
    return new SavedRecord(file, saved, log);
  }

  /** A process was started that must not outlive the sandbox. */
  async addHelper(role: string, pid: number): Promise<void> {
    const process = identify(pid);
    if (process === undefined) return;
    await this.#change({ helpers: [...this.#saved.helpers, { role, ...process }] });
  }

  /** Something is about to be mounted here. */
  async addMount(path: string): Promise<void> {
    if (!this.#saved.mounts.includes(path)) await this.#change({ mounts: [...this.#saved.mounts, path] });
  }

  /** From now on these hooks have to be run when the container is gone. */
  async oweHooks(hooks: SavedHooks): Promise<void> {
    await this.#change({ hooks: [...this.#saved.hooks ?? [], hooks] });
  }

  /** They were run. */
  async paidHooks(containerId: string): Promise<void> {
    await this.#change({ hooks: this.#saved.hooks?.filter(({ id }) => id !== containerId) });
  }

  async update(change: SavedChange): Promise<void> {
    await this.#change(change);
  }

  /** Undoes everything in it by force. */
  async replay(): Promise<void> {
    await replay(this.#saved, this.#log);
  }

  /** Forgets the sandbox: its id is free. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  #change(change: Partial<SavedSandbox>): Promise<void> {
    this.#saved = { ...this.#saved, ...change };
    return this.#file.save(this.#saved);
  }
}
