/** Waiting for a kernel file to say something. */

import { AsyncFd } from "../../../sys/poll.ts";
import { O } from "../../../sys/fd.ts";
import { cstr, syscall } from "../../../sys/syscall.ts";
import { readText } from "./files.ts";
import { Timer } from "../../../sys/timer.ts";

const IN_MODIFY = 2;
const EVENT_BUFFER_SIZE = 4096;

/**
 * Waits until the file's text fulfils a condition.
 *
 * @param path of a file that tells about changes, as `cgroup.events` does
 * @param timeoutMs how long; 0 = for ever
 * @returns false if it did not in that time
 */
export async function waitForText(
  path: string,
  isFulfilled: (text: string) => boolean,
  timeoutMs: number,
): Promise<boolean> {
  if (isFulfilled(readText(path))) return true;
  const changes = new AsyncFd(syscall("inotify_init1", [O.CLOEXEC | O.NONBLOCK]), `changes of ${path}`);
  const timer = timeoutMs > 0 ? new Timer(timeoutMs, () => changes.close()) : undefined;
  try {
    syscall("inotify_add_watch", [changes.fd, cstr(path), IN_MODIFY], path);
    const events = new Uint8Array(EVENT_BUFFER_SIZE);
    // Read again: a change between the first read and the watch would have gone unnoticed.
    while (!isFulfilled(readText(path))) {
      try {
        await changes.read(events);
      } catch (error) {
        if (changes.fd < 0) return isFulfilled(readText(path));
        throw error;
      }
    }
    return true;
  } finally {
    timer?.cancel();
    changes.close();
  }
}

/** The number of a line "key number" of a file's text; undefined without such a line. */
export function valueOf(text: string, key: string): bigint | undefined {
  const match = new RegExp(`^${key} ([0-9]+)$`, "m").exec(text);
  return match?.[1] === undefined ? undefined : BigInt(match[1]);
}
