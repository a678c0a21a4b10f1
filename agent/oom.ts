import { O } from "../sys/fd.ts";
import { AsyncFd } from "../sys/poll.ts";
import { cstr, syscall } from "../sys/syscall.ts";
import { isErrno } from "../sys/errors.ts";
import { failedPrecondition } from "./errors.ts";

const IN_MODIFY = 0x2;
const IN_IGNORED = 0x8000;
/** struct inotify_event without the name: wd, mask, cookie, len. */
const EVENT_HEADER_BYTES = 16;

interface Watched {
  readonly id: string;
  readonly file: string;
  kills: number;
}

interface Consumer {
  resolve(id: string): void;
  reject(error: unknown): void;
}

/**
 * Tells which containers the kernel's out-of-memory killer has struck.
 *
 * The kernel says "modified" of a control group's `memory.events`; the file then says how often a process was killed.
 * An event that nobody waits for yet is kept, once per container.
 */
export class OomWatch implements Disposable {
  readonly #inotify: AsyncFd;
  readonly #watched = new Map<number, Watched>();
  readonly #pending = new Set<string>();
  readonly #consumers: Consumer[] = [];
  #ended = false;

  constructor() {
    this.#inotify = new AsyncFd(syscall("inotify_init1", [O.NONBLOCK | O.CLOEXEC]), "inotify");
    this.#follow().catch(() => this[Symbol.dispose]());
  }

  /**
   * Begins with a container.
   *
   * @param cgroup path of its control group; nothing happens if that counts no memory
   * @returns ends it
   */
  watch(id: string, cgroup: string): Disposable {
    const file = `${cgroup}/memory.events`;
    let descriptor: number;
    try {
      descriptor = syscall("inotify_add_watch", [this.#inotify.fd, cstr(file), IN_MODIFY], file);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return { [Symbol.dispose]() {} };
      throw error;
    }
    this.#watched.set(descriptor, { id, file, kills: killsIn(file) });
    return { [Symbol.dispose]: () => this.#unwatch(descriptor, id) };
  }

  /**
   * Waits for the next container that was struck.
   *
   * @throws {RpcError} `FailedPrecondition` when the sandbox is destroyed
   */
  next(signal?: AbortSignal): Promise<string> {
    if (this.#ended) return Promise.reject(ended());
    for (const id of this.#pending) {
      this.#pending.delete(id);
      return Promise.resolve(id);
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const consumer = { resolve, reject };
    this.#consumers.push(consumer);
    signal?.addEventListener("abort", () => {
      const place = this.#consumers.indexOf(consumer);
      if (place >= 0) this.#consumers.splice(place, 1);
      reject(signal.reason);
    }, { once: true });
    return promise;
  }

  /** Ends all waits. */
  [Symbol.dispose](): void {
    this.#ended = true;
    this.#inotify.close();
    for (const consumer of this.#consumers.splice(0)) consumer.reject(ended());
  }

  async #follow(): Promise<void> {
    const buffer = new Uint8Array(4096);
    const view = new DataView(buffer.buffer);
    while (!this.#ended) {
      const count = await this.#inotify.read(buffer);
      for (
        let at = 0;
        at + EVENT_HEADER_BYTES <= count;
        at += EVENT_HEADER_BYTES + view.getUint32(at + 12, true)
      ) {
        this.#changed(view.getInt32(at, true), view.getUint32(at + 4, true));
      }
    }
  }

  #changed(descriptor: number, mask: number): void {
    const watched = this.#watched.get(descriptor);
    if (!watched) return;
    if (mask & IN_IGNORED) {
      this.#watched.delete(descriptor);
      return;
    }
    const kills = killsIn(watched.file);
    if (kills <= watched.kills) return;
    watched.kills = kills;
    const consumer = this.#consumers.shift();
    if (consumer) consumer.resolve(watched.id);
    else this.#pending.add(watched.id);
  }

  #unwatch(descriptor: number, id: string): void {
    this.#pending.delete(id);
    // The descriptor of a removed control group is gone by itself, and its number is never used again.
    if (!this.#watched.delete(descriptor) || this.#ended) return;
    try {
      syscall("inotify_rm_watch", [this.#inotify.fd, descriptor]);
    } catch (error) {
      if (!isErrno(error, "EINVAL")) throw error;
    }
  }
}

/** How often a process of the control group was killed; 0 if it is gone. */
function killsIn(file: string): number {
  try {
    return Number(/^oom_kill ([0-9]+)$/m.exec(Deno.readTextFileSync(file))?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || isGone(error)) return 0;
    throw error;
  }
}

/** A file of a control group that was removed while it was open answers ENODEV. */
function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENODEV";
}

function ended(): Error {
  return failedPrecondition("the sandbox is being destroyed");
}
