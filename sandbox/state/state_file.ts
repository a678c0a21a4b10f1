/**
 * A sandbox's folder of saved state: the process that holds its lock owns the sandbox.
 *
 * The lock is the kernel's (flock) and ends with its holder, so a folder without a lock is what a crash left behind.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { isErrno } from "../../sys/errors.ts";
import { flockFd, O, openFd, OwnedFd } from "../../sys/fd.ts";
import { type Log, reason } from "../log/log.ts";
import { parseState, type SavedSandbox } from "./state.ts";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const STATE_NAME = "persist.json";

/** Undoes what a saved state describes; see `cleanup.ts`. */
export type Replay = (saved: SavedSandbox, log: Log) => Promise<void>;

/** What a dead owner left. */
export interface Reclaimed {
  readonly file: StateFile;
  /** `undefined` if it died before, or while, it wrote the first time */
  readonly saved: SavedSandbox | undefined;
}

/** The locked folder and the file in it. */
export class StateFile implements AsyncDisposable {
  readonly folder: string;
  readonly #lock: OwnedFd;
  #next: SavedSandbox | undefined;
  #writing: Promise<void> = Promise.resolve();
  #disposed = false;

  private constructor(folder: string, lock: OwnedFd) {
    this.folder = folder;
    this.#lock = lock;
  }

  /**
   * Takes the folder of an id. What a dead owner left in it is undone first.
   *
   * @throws {RpcError} `ALREADY_EXISTS` when the sandbox is alive
   */
  static async acquire(parent: string, id: string, replay: Replay, log: Log): Promise<StateFile> {
    const folder = `${parent}/${id}`;
    while (true) {
      await makeFolder(folder, FOLDER_MODE);
      const lock = tryLock(folder);
      if (lock === undefined) throw new RpcError(Code.AlreadyExists, `sandbox "${id}" exists already`);
      using taken = new DisposableStack();
      taken.use(lock);
      // its last owner may have removed it between the two steps
      if (!isSameFolder(folder, lock)) continue;
      const left = await readState(folder);
      if (left !== undefined) {
        log.write("warning", `sandbox "${id}" was left behind by process ${left.owner.pid}: cleaning up`);
        await replay(left, log);
      }
      taken.move();
      return new StateFile(folder, lock);
    }
  }

  /**
   * Takes the folder that a dead owner left, if there is one.
   *
   * @returns `undefined` when there is no such folder, `"alive"` when its owner is
   */
  static async reclaim(parent: string, id: string): Promise<Reclaimed | "alive" | undefined> {
    const folder = `${parent}/${id}`;
    let lock: OwnedFd | undefined;
    try {
      lock = tryLock(folder);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
    if (lock === undefined) return "alive";
    using taken = new DisposableStack();
    taken.use(lock);
    if (!isSameFolder(folder, lock)) return undefined;
    const saved = await readState(folder);
    taken.move();
    return { file: new StateFile(folder, lock), saved };
  }

  /** Replaces the saved state in one step; of several that wait for their turn only the last is written. */
  save(state: SavedSandbox): Promise<void> {
    if (this.#disposed) return Promise.resolve();
    this.#next = state;
    this.#writing = this.#writing.catch(() => {}).then(() => this.#writeNext());
    return this.#writing;
  }

  async #writeNext(): Promise<void> {
    const state = this.#next;
    if (state === undefined) return;
    this.#next = undefined;
    const path = `${this.folder}/${STATE_NAME}`;
    try {
      await writeAtomically(path, JSON.stringify(state));
    } catch (error) {
      throw new Error(`cannot write the sandbox's state to "${path}": ${reason(error)}`, { cause: error });
    }
  }

  /** Removes the folder and gives the lock back. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#writing.catch(() => {});
    try {
      await Deno.remove(this.folder, { recursive: true });
    } finally {
      this.#lock.close();
    }
  }
}

/** The saved state of a sandbox of any owner; `undefined` if there is none that can be read. */
export async function readState(folder: string): Promise<SavedSandbox | undefined> {
  try {
    return parseState(await Deno.readTextFile(`${folder}/${STATE_NAME}`));
  } catch {
    return undefined;
  }
}

/** Makes a folder of a sandbox's, and those above it. @throws {Error} a sentence with its path */
export async function makeFolder(path: string, mode: number): Promise<string> {
  try {
    await Deno.mkdir(path, { recursive: true, mode });
    return path;
  } catch (error) {
    throw new Error(`cannot make the sandbox's folder "${path}": ${reason(error)}`, { cause: error });
  }
}

/** Write, fsync, rename: a reader finds the old text or the new one. */
async function writeAtomically(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  {
    using file = await Deno.open(draft, { create: true, write: true, truncate: true, mode: FILE_MODE });
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.sync();
  }
  await Deno.rename(draft, path);
}

/** @returns the lock, or `undefined` if somebody else holds it */
function tryLock(folder: string): OwnedFd | undefined {
  const lock = new OwnedFd(openFd(folder, O.RDONLY | O.DIRECTORY));
  try {
    flockFd(lock.fd, "exclusive");
    return lock;
  } catch (error) {
    lock.close();
    if (isErrno(error, "EWOULDBLOCK", "EAGAIN")) return undefined;
    throw error;
  }
}

function isSameFolder(path: string, { fd }: OwnedFd): boolean {
  try {
    const byPath = Deno.statSync(path);
    const byFd = Deno.statSync(`/proc/self/fd/${fd}`);
    return byPath.ino === byFd.ino && byPath.dev === byFd.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new Error(`cannot look at "${path}": ${reason(error)}`, { cause: error });
  }
}
