import { STRUCTS } from "./abi/structs.ts";
import { ERRNO, SysError } from "./errors.ts";
import { EPOLL, nextTurn, Registration } from "./event_loop.ts";
import { closeFd, setNonblock } from "./fd.ts";
import { syscall, trySyscall } from "./syscall.ts";

export { loopIdle } from "./event_loop.ts";

/** Bits of poll(2): events to ask for (`IN`, `OUT`), and those always reported. */
export const POLL = { IN: 0x1, PRI: 0x2, OUT: 0x4, ERR: 0x8, HUP: 0x10, NVAL: 0x20, RDHUP: 0x2000 } as const;

const NO_TIME = new Uint8Array(16); // struct timespec: zero

/** Looks what is true for a descriptor right now, of `events` and the bits that always tell. Does not wait. */
export function pollNow(fd: number, events: number): number {
  const pollfd = new Uint8Array(STRUCTS.pollfd.size);
  const view = new DataView(pollfd.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(STRUCTS.pollfd.events, events, true);
  syscall("ppoll", [pollfd, 1, NO_TIME, null, 8], String(fd));
  return view.getInt16(STRUCTS.pollfd.revents, true);
}

/**
 * After how many reads and writes in a row, all done at once, somebody else gets a turn: a copy between two
 * descriptors that are always ready would otherwise keep every timer and every other stream waiting.
 */
const TURN_AFTER = 32;
let sinceTurn = 0;

/** Lets one at a time through, in order of arrival. */
class Lane {
  #busy = false;
  readonly #queue: (() => void)[] = [];

  /** @returns undefined when the way is free, else a promise of one's turn */
  enter(): Promise<void> | undefined {
    if (this.#busy) return new Promise((resolve) => this.#queue.push(resolve));
    this.#busy = true;
  }

  leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#busy = false;
  }
}

/**
 * A descriptor read and written without blocking: pipe, FIFO, terminal, socket, pidfd, eventfd, netlink, virtio port.
 * Files that are always ready (regular files, /dev/null) work too, and block for as long as the disk takes.
 */
export class AsyncFd implements Disposable {
  readonly #label: string;
  readonly #registration: Registration;
  readonly #reads = new Lane();
  readonly #writes = new Lane();
  #fd: number;

  /**
   * Takes ownership of the descriptor and makes it non-blocking, which everybody shares who has the same open file.
   *
   * @param label what errors shall name: a path, a purpose
   */
  constructor(fd: number, label: string = String(fd)) {
    setNonblock(fd, true);
    this.#fd = fd;
    this.#label = label;
    this.#registration = new Registration(fd);
  }

  /** The descriptor; -1 after close or release. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Reads what there is, at least one byte. Reads queue in order.
   *
   * @returns the number of bytes; 0 at the end of the stream
   * @throws {SysError} `EBADF` when closed here meanwhile, or what the kernel answered
   */
  async read(into: Uint8Array): Promise<number> {
    if (into.length === 0) return 0;
    const turn = this.#reads.enter();
    if (turn) await turn;
    try {
      for (;;) {
        const result = this.tryRead(into);
        if (result >= 0) {
          if (++sinceTurn >= TURN_AFTER) await this.#yield();
          return result;
        }
        if (result !== -ERRNO.EAGAIN) throw this.#error("read", -result);
        await this.#wait(EPOLL.IN);
      }
    } finally {
      this.#reads.leave();
    }
  }

  /**
   * Writes all of `data`, waiting whenever the other side is full. Writes queue in order and do not mix. The caller
   * leaves `data` alone until the promise settles.
   *
   * @throws {SysError} `EPIPE` when nobody can read it any more, `EBADF` when closed here meanwhile
   */
  async write(data: Uint8Array): Promise<void> {
    const turn = this.#writes.enter();
    if (turn) await turn;
    try {
      for (let done = 0; done < data.length;) {
        const result = this.tryWrite(done === 0 ? data : data.subarray(done));
        if (result >= 0) {
          done += result;
          if (++sinceTurn >= TURN_AFTER) await this.#yield();
        } else if (result === -ERRNO.EAGAIN) {
          await this.#wait(EPOLL.OUT);
        } else {
          throw this.#error("write", -result);
        }
      }
    } finally {
      this.#writes.leave();
    }
  }

  /** Resolves when a read would not wait: there is data, the end, or an error. */
  async readable(): Promise<void> {
    await this.#until(POLL.IN | POLL.RDHUP, EPOLL.IN);
  }

  /** Resolves when a write would not wait: there is room, or an error. */
  async writable(): Promise<void> {
    await this.#until(POLL.OUT, EPOLL.OUT);
  }

  /** Resolves when the other side is gone altogether (POLLHUP or POLLERR), whether or not data is left to read. */
  async hungUp(): Promise<void> {
    await this.#until(0, 0);
  }

  /** Closes the descriptor; what is pending rejects with `EBADF`. Safe to call again. */
  close(): void {
    const fd = this.release();
    if (fd >= 0) closeFd(fd);
  }

  /** Gives the descriptor, still non-blocking, to the caller; what is pending rejects with `EBADF`. */
  release(): number {
    const fd = this.#fd;
    if (fd < 0) return -1;
    this.#registration.end(this.#error("wait", ERRNO.EBADF));
    this.#fd = -1;
    return fd;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * One attempt to read. Kinds of files that tell their end in another way override it.
   *
   * @returns the number of bytes, or the negative error number
   */
  protected tryRead(into: Uint8Array): number {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return trySyscall("read", [this.#fd, into, into.length]);
  }

  /** One attempt to write, as {@linkcode tryRead}. */
  protected tryWrite(data: Uint8Array): number {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return trySyscall("write", [this.#fd, data, data.length]);
  }

  /** For subclasses: waits for the next event of `mask` after they looked in the same turn. */
  protected nextEvent(mask: number): Promise<void> {
    return this.#wait(mask);
  }

  #wait(mask: number): Promise<void> {
    sinceTurn = 0;
    return this.#registration.wait(mask);
  }

  #yield(): Promise<void> {
    sinceTurn = 0;
    return nextTurn();
  }

  async #until(events: number, mask: number): Promise<void> {
    for (;;) {
      if (this.#fd < 0) throw this.#error("wait", ERRNO.EBADF);
      if (pollNow(this.#fd, events) !== 0) return;
      await this.#wait(mask);
    }
  }

  #error(call: string, errno: number): SysError {
    return new SysError(call, errno, this.#label);
  }
}
