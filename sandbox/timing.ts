/**
 * Waiting with an upper bound. Every timer made here is gone when the wait is over.
 *
 * @module
 */

import { Timer } from "../sys/timer.ts";

/** Waits for a promise, but not longer than this; tells whether it settled. Its rejection counts as settled. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  using _timer = new Timer(ms, () => late.resolve(false));
  return await Promise.race([promise.then(() => true, () => true), late.promise]);
}

/** The promise's result, or the signal's reason if that comes first; a result that comes too late is disposed of. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  dispose?: (late: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      promise.then((late) => dispose?.(late), () => {});
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Waits; ends early with the signal's reason. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal.reason);
    };
    const timer = new Timer(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
