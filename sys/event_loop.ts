import { STRUCTS } from "./abi/structs.ts";
import { ERRNO, SysError } from "./errors.ts";
import { eventfd, O, readFd, writeFd } from "./fd.ts";
import { syscall, trySyscall } from "./syscall.ts";

/** Bits of an epoll event. */
export const EPOLL = { IN: 0x1, OUT: 0x4, ERR: 0x8, HUP: 0x10, RDHUP: 0x2000 } as const;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
// Level-triggered events would come without end for what stays true while nobody can act on it: a hung-up pty, a
// virtio port whose host side is closed.
const EPOLLET = 0x80000000;

const MAX_EVENTS = 256;
const EVENT = STRUCTS.epoll_event;

const WAKER = 0;

interface Waiter {
  readonly mask: number;
  resolve(): void;
  reject(error: SysError): void;
}

/**
 * The one epoll instance of the program. While somebody waits, one epoll_wait is under way on a thread of its own; as
 * soon as nobody does, an eventfd ends it, so that an idle program can end.
 */
class EventLoop {
  readonly #epoll: number;
  readonly #waker: number;
  readonly #events = new Uint8Array(MAX_EVENTS * EVENT.size);
  readonly #view = new DataView(this.#events.buffer);
  readonly #registrations = new Map<number, Registration>();
  readonly #wait: (
    epoll: number,
    events: Uint8Array<ArrayBuffer>,
    max: number,
    timeoutMs: number,
  ) => Promise<number>;
  #nextToken = WAKER + 1;
  #waiters = 0;
  #inFlight = false;
  /** How often epoll_wait came back: what is quiet does not add to it. */
  turns = 0;
  #running: Promise<void> | undefined;
  /** Those who wait for the next time that it comes back. */
  readonly #turned: (() => void)[] = [];

  constructor() {
    const libc = Deno.dlopen("libc.so.6", {
      epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32", nonblocking: true },
    });
    this.#wait = libc.symbols.epoll_wait;
    this.#epoll = syscall("epoll_create1", [O.CLOEXEC]);
    this.#waker = eventfd();
    this.#control(EPOLL_CTL_ADD, this.#waker, EPOLL.IN, WAKER);
  }

  #control(operation: number, fd: number, events: number, token: number): number {
    const event = new Uint8Array(EVENT.size);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setUint32(EVENT.data, token, true);
    return trySyscall("epoll_ctl", [this.#epoll, operation, fd, event]);
  }

  /** Registers a descriptor for `events`. @returns its token, or undefined for a file that epoll does not take */
  add(fd: number, events: number, registration: Registration): number | undefined {
    const token = this.#nextToken++;
    const result = this.#control(EPOLL_CTL_ADD, fd, events | EPOLLET, token);
    if (result === -ERRNO.EPERM) return undefined;
    if (result < 0) throw new SysError("epoll_ctl", -result, String(fd));
    this.#registrations.set(token, registration);
    return token;
  }

  modify(fd: number, events: number, token: number): void {
    const result = this.#control(EPOLL_CTL_MOD, fd, events | EPOLLET, token);
    if (result < 0) throw new SysError("epoll_ctl", -result, String(fd));
  }

  remove(fd: number, token: number): void {
    // Tokens are never used twice, so an event that was fetched before this finds nobody.
    this.#registrations.delete(token);
    this.#control(EPOLL_CTL_DEL, fd, 0, token);
  }

  /** Somebody began to wait. */
  hold(): void {
    this.#waiters++;
    this.#running ??= this.#run();
  }

  /** Somebody ceased to wait. */
  drop(): void {
    this.#waiters--;
    if (this.#waiters === 0 && this.#inFlight) this.#wake();
  }

  /** Resolves when epoll_wait has come back, which it does at once. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#turned.push(resolve);
      this.hold();
      this.#wake();
    });
  }

  /** Ends the epoll_wait that is under way, or the next one. */
  #wake(): void {
    writeFd(this.#waker, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
  }

  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiters > 0) {
        this.#inFlight = true;
        let count = await this.#wait(this.#epoll, this.#events, MAX_EVENTS, -1);
        this.#inFlight = false;
        this.turns++;
        // errno stayed on the other thread: ask again from this one.
        if (count < 0) count = syscall("epoll_pwait", [this.#epoll, this.#events, MAX_EVENTS, 0, null, 8]);
        this.#dispatch(count);
        for (const resolve of this.#turned.splice(0)) {
          this.drop();
          resolve();
        }
      }
    } finally {
      this.#running = undefined;
    }
  }

  #dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const events = this.#view.getUint32(i * EVENT.size, true);
      const token = this.#view.getUint32(i * EVENT.size + EVENT.data, true);
      if (token === WAKER) readFd(this.#waker, new Uint8Array(8));
      else this.#registrations.get(token)?.notify(events);
    }
  }
}

let theLoop: EventLoop | undefined;

function eventLoop(): EventLoop {
  return theLoop ??= new EventLoop();
}

/**
 * Resolves when no epoll_wait is under way. After the last waiter has gone this takes one more turn of the event loop;
 * tests whose sanitizer counts what is under way await it before they end.
 */
export async function loopIdle(): Promise<void> {
  await theLoop?.idle();
}

/** How often epoll_wait has come back so far; for tests of what must not wake the program. */
export function loopTurns(): number {
  return theLoop?.turns ?? 0;
}

/**
 * The place of one descriptor in the event loop. It is added to epoll when somebody first waits, for the directions
 * that were ever waited for, edge-triggered. Therefore the rule for its users: look (read, write, poll) first and call
 * {@linkcode wait} in the same turn if there was nothing; whatever happens after the look ends the wait.
 */
export class Registration {
  readonly #fd: number;
  #token: number | undefined;
  #alwaysReady = false;
  #interest = 0;
  #waiters: Waiter[] = [];

  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Waits for the next event of `mask` (bits of {@linkcode EPOLL}), an error or a hang-up. It may come without need.
   *
   * @throws {SysError} `EBADF` when the registration ends first
   */
  wait(mask: number): Promise<void> {
    this.#arm(mask);
    if (this.#alwaysReady) return nextTurn();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ mask: mask | EPOLL.ERR | EPOLL.HUP, resolve, reject });
      eventLoop().hold();
    });
  }

  #arm(mask: number): void {
    if (this.#alwaysReady) return;
    const interest = this.#interest | (mask & (EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP));
    if (this.#token === undefined) {
      this.#token = eventLoop().add(this.#fd, interest, this);
      this.#alwaysReady = this.#token === undefined;
    } else if (interest !== this.#interest) {
      eventLoop().modify(this.#fd, interest, this.#token);
    }
    this.#interest = interest;
  }

  /** Called by the loop. */
  notify(events: number): void {
    const ready = this.#waiters.filter((waiter) => (waiter.mask & events) !== 0);
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => (waiter.mask & events) === 0);
    for (const waiter of ready) {
      eventLoop().drop();
      waiter.resolve();
    }
  }

  /** Ends all waits as if there had been an event. */
  wake(): void {
    for (const waiter of this.#waiters.splice(0)) {
      eventLoop().drop();
      waiter.resolve();
    }
  }

  /** Takes the descriptor out of the loop, which must happen before it is closed; all who wait get `error`. */
  end(error: SysError): void {
    if (this.#token !== undefined) eventLoop().remove(this.#fd, this.#token);
    this.#token = undefined;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      eventLoop().drop();
      waiter.reject(error);
    }
  }
}

/**
 * Lets timers, other descriptors and everything else that is ready have their turn. (`setImmediate` would do, but loads
 * Node's compatibility layer: see timer.ts.)
 */
export function nextTurn(): Promise<void> {
  return eventLoop().turn();
}
