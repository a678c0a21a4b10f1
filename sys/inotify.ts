/**
 * Watching files for changes, see inotify(7).
 *
 * `Deno.watchFs` drops what comes faster than it is read, the end of the watched folder among it.
 *
 * @module
 */

import { isErrno } from "./errors.ts";
import { O } from "./fd.ts";
import { AsyncFd } from "./poll.ts";
import { cstr, syscall } from "./syscall.ts";

/** Events to watch for, and events that are reported. */
export const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  CLOSE_WRITE: 0x8,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  MOVE_SELF: 0x800,
  /** reported only: the queue overflowed and changes were lost; of no watch */
  Q_OVERFLOW: 0x4000,
  /** reported only: the watch is gone, as the watched file is */
  IGNORED: 0x8000,
  ONLYDIR: 0x1000000,
} as const;

/** struct inotify_event without the name: wd, mask, cookie, len. */
const HEADER_BYTES = 16;
/** Room for many; one with the longest name needs 272. */
const BUFFER_BYTES = 4096;

/** A reported change. */
export interface Change {
  /** of which watch */
  readonly watch: number;
  /** bits of `IN` */
  readonly mask: number;
  /** what in a watched folder has changed; empty for the watched file or folder itself */
  readonly name: string;
}

/** A queue of changes. */
export class Inotify implements Disposable {
  readonly #file = new AsyncFd(syscall("inotify_init1", [O.NONBLOCK | O.CLOEXEC]), "inotify");
  readonly #buffer = new Uint8Array(BUFFER_BYTES);

  /**
   * Begins to watch a file or folder; one that is watched already gets the new mask.
   *
   * @returns the watch's number, which is never used again
   * @throws {SysError} `ENOENT` it is not there, `ENOSPC` this user has too many watches
   */
  add(path: string, mask: number): number {
    return syscall("inotify_add_watch", [this.#file.fd, cstr(path), mask], path);
  }

  /** Ends a watch, if it still exists. */
  remove(watch: number): void {
    try {
      syscall("inotify_rm_watch", [this.#file.fd, watch]);
    } catch (error) {
      if (!isErrno(error, "EINVAL")) throw error;
    }
  }

  /** Waits for changes: at least one, in their order. @throws {SysError} `EBADF` when it is disposed of */
  async read(): Promise<Change[]> {
    const count = await this.#file.read(this.#buffer);
    const view = new DataView(this.#buffer.buffer);
    const changes: Change[] = [];
    for (let at = 0; at + HEADER_BYTES <= count;) {
      const end = at + HEADER_BYTES + view.getUint32(at + 12, true);
      const name = this.#buffer.subarray(at + HEADER_BYTES, end);
      const zero = name.indexOf(0);
      changes.push({
        watch: view.getInt32(at, true),
        mask: view.getUint32(at + 4, true),
        name: new TextDecoder().decode(zero < 0 ? name : name.subarray(0, zero)),
      });
      at = end;
    }
    return changes;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
