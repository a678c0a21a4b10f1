/**
 * Timers.
 *
 * The runtime's own (`setTimeout`, `setImmediate`) are those of Node's compatibility layer, which is loaded when one of
 * them is first mentioned: 5 ms and 5 MiB on a host, and a quarter of a second in a machine without hardware
 * virtualisation. Those here are one timerfd in the event loop.
 */

import { EPOLL, Registration } from "./event_loop.ts";
import { syscall } from "./syscall.ts";

const CLOCK_MONOTONIC = 1;
const TFD_FLAGS = 0o2000000 | 0o4000; // close-on-exec, non-blocking

/** Calls a function after a time, unless it is cancelled before. A pending timer keeps the program alive. */
export class Timer implements Disposable {
  /** When it is due, on the clock of `performance.now()`. */
  readonly deadline: number;
  readonly #callback: () => void;

  /** @param ms how long, in milliseconds; 0 or less = in the next turn of the event loop */
  constructor(ms: number, callback: () => void) {
    this.deadline = performance.now() + Math.max(ms, 0);
    this.#callback = callback;
    allTimers().add(this);
  }

  /** It will not call any more. Safe to call again, and afterwards. */
  cancel(): void {
    theTimers?.remove(this);
  }

  [Symbol.dispose](): void {
    this.cancel();
  }

  /** Called by the loop. */
  fire(): void {
    this.#callback();
  }
}

/** Resolves after a time in milliseconds. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void new Timer(ms, resolve));
}

/**
 * A promise's result, if it comes in time; one that comes later is dropped.
 *
 * @param ms how long it may take, in milliseconds
 * @param late makes the error of one that has not come
 */
export async function inTime<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = new Timer(ms, () => expired.reject(late()));
  try {
    return await Promise.race([promise, expired.promise]);
  } finally {
    timer.cancel();
  }
}

/** All pending timers, soonest first, and the descriptor that wakes the loop for the first of them. */
class Timers {
  readonly #fd = syscall("timerfd_create", [CLOCK_MONOTONIC, TFD_FLAGS]);
  readonly #registration = new Registration(this.#fd);
  readonly #pending: Timer[] = [];
  /** For when the descriptor is set; it may be for a timer that was cancelled since. */
  #armedFor = Infinity;
  #running = false;

  add(timer: Timer): void {
    this.#pending.splice(this.#placeOf(timer.deadline), 0, timer);
    if (timer.deadline < this.#armedFor) this.#arm(timer.deadline);
    if (!this.#running) this.#run();
  }

  remove(timer: Timer): void {
    const place = this.#pending.indexOf(timer);
    if (place < 0) return;
    this.#pending.splice(place, 1);
    if (this.#pending.length === 0) this.#registration.wake();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#pending.length > 0) {
      await this.#registration.wait(EPOLL.IN);
      const now = performance.now();
      // Whatever has woken us, the descriptor is set anew: its clock and that of deadlines need not agree to the last digit.
      this.#armedFor = Infinity;
      for (let next = this.#pending[0]; next && next.deadline <= now; next = this.#pending[0]) {
        this.#pending.shift();
        call(next);
      }
      const [next] = this.#pending;
      if (next) this.#arm(next.deadline);
    }
    this.#running = false;
  }

  #arm(deadline: number): void {
    this.#armedFor = deadline;
    // All zero would switch it off.
    const nanoseconds = BigInt(Math.max(1, Math.ceil((deadline - performance.now()) * 1e6)));
    const itimerspec = new BigInt64Array([
      0n,
      0n,
      nanoseconds / 1_000_000_000n,
      nanoseconds % 1_000_000_000n,
    ]);
    syscall("timerfd_settime", [this.#fd, 0, new Uint8Array(itimerspec.buffer), null], "timer");
  }

  /** Behind those that are due at the same time. */
  #placeOf(deadline: number): number {
    let place = this.#pending.length;
    while (place > 0 && (this.#pending[place - 1]?.deadline ?? 0) > deadline) place--;
    return place;
  }
}

/** An error of one timer is not that of the next. */
function call(timer: Timer): void {
  try {
    timer.fire();
  } catch (error) {
    reportError(error);
  }
}

let theTimers: Timers | undefined;

function allTimers(): Timers {
  return theTimers ??= new Timers();
}
