import { STRUCTS } from "./abi/structs.ts";
import { ERRNO } from "./errors.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { AsyncFd, POLL, pollNow } from "./poll.ts";
import { syscall } from "./syscall.ts";

/** ioctl requests of terminals. */
export const TTY = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
} as const;

/** Size of a terminal in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** A pseudo terminal. The caller owns both ends. */
export interface Pty {
  /** Reads give 0 when nobody has the slave open; writes then fail with `EIO` once the queue is full. */
  readonly master: AsyncFd;
  /** Blocking, close-on-exec, not the controlling terminal of this process. */
  readonly slave: number;
  /** Path of the slave in the mount of devpts that it was made in. */
  readonly slavePath: string;
}

class PtyMaster extends AsyncFd {
  protected override tryRead(into: Uint8Array): number {
    const result = super.tryRead(into);
    // Everybody closed the slave, and all output was read.
    return result === -ERRNO.EIO ? 0 : result;
  }

  protected override tryWrite(data: Uint8Array): number {
    const result = super.tryWrite(data);
    // Full, and nobody has the slave open to empty it. Waiting would not do: each attempt to write makes an event,
    // which a hang-up lets through, so that attempts and events would chase each other.
    const hungUp = result === -ERRNO.EAGAIN && (pollNow(this.fd, POLL.OUT) & POLL.HUP) !== 0;
    return hungUp ? -ERRNO.EIO : result;
  }
}

function ioctl(name: keyof typeof TTY, fd: number, data: Uint8Array | number): number {
  return syscall("ioctl", [fd, TTY[name], data], `${fd} ${name}`);
}

/**
 * Makes a pseudo terminal.
 *
 * @param options.ptmx the multiplexer of the devpts mount to make it in (default /dev/ptmx)
 * @param options.slaveFolder where that mount's slaves are seen by who gets the path (default /dev/pts)
 */
export function openPty(options: { readonly ptmx?: string; readonly slaveFolder?: string } = {}): Pty {
  const master = openFd(options.ptmx ?? "/dev/ptmx", O.RDWR | O.NOCTTY);
  try {
    ioctl("TIOCSPTLCK", master, new Uint8Array(4));
    const number = new Uint8Array(4);
    ioctl("TIOCGPTN", master, number);
    // By the master and not by its path: the path may be in another mount, or be another terminal by now.
    const slave = ioctl("TIOCGPTPEER", master, O.RDWR | O.NOCTTY | O.CLOEXEC);
    const slavePath = `${options.slaveFolder ?? "/dev/pts"}/${
      new DataView(number.buffer).getUint32(0, true)
    }`;
    return { master: new PtyMaster(master, slavePath), slave, slavePath };
  } catch (error) {
    closeFd(master);
    throw error;
  }
}

/** Sets a terminal's size; its foreground processes get SIGWINCH. Works on both ends. */
export function setWindowSize(fd: number, size: WindowSize): void {
  const struct = new Uint16Array([size.rows, size.columns, 0, 0]);
  ioctl("TIOCSWINSZ", fd, new Uint8Array(struct.buffer));
}

/** A terminal's size. @throws {SysError} `ENOTTY` if it is none */
export function getWindowSize(fd: number): WindowSize {
  const struct = new Uint16Array(4);
  ioctl("TIOCGWINSZ", fd, new Uint8Array(struct.buffer));
  return { rows: struct[0] ?? 0, columns: struct[1] ?? 0 };
}

/** Whether the descriptor is a terminal. */
export function isTerminal(fd: number): boolean {
  try {
    getWindowSize(fd);
    return true;
  } catch {
    return false;
  }
}

/** Bits of struct termios, and places in its control characters, that cfmakeraw(3) sets. */
export const TERMIOS = {
  IGNBRK: 0o1,
  BRKINT: 0o2,
  PARMRK: 0o10,
  ISTRIP: 0o40,
  INLCR: 0o100,
  IGNCR: 0o200,
  ICRNL: 0o400,
  IXON: 0o2000,
  OPOST: 0o1,
  CSIZE: 0o60,
  CS8: 0o60,
  PARENB: 0o400,
  ISIG: 0o1,
  ICANON: 0o2,
  ECHO: 0o10,
  ECHONL: 0o100,
  IEXTEN: 0o100000,
  VTIME: 5,
  VMIN: 6,
} as const;

const T = TERMIOS;
const RAW_IFLAG = T.IGNBRK | T.BRKINT | T.PARMRK | T.ISTRIP | T.INLCR | T.IGNCR | T.ICRNL | T.IXON;
const RAW_LFLAG = T.ISIG | T.ICANON | T.ECHO | T.ECHONL | T.IEXTEN;

/**
 * Puts a terminal into raw mode: every byte passes as it is, at once.
 *
 * @returns what restores the mode it had
 * @throws {SysError} `ENOTTY` if it is no terminal
 */
export function makeRaw(fd: number): () => void {
  const { size, c_iflag, c_oflag, c_cflag, c_lflag, c_cc } = STRUCTS.termios;
  const saved = new Uint8Array(size);
  ioctl("TCGETS", fd, saved);
  const raw = saved.slice();
  const view = new DataView(raw.buffer);
  const clear = (offset: number, bits: number) =>
    view.setUint32(offset, view.getUint32(offset, true) & ~bits, true);
  clear(c_iflag, RAW_IFLAG);
  clear(c_oflag, T.OPOST);
  clear(c_cflag, T.CSIZE | T.PARENB);
  view.setUint32(c_cflag, view.getUint32(c_cflag, true) | T.CS8, true);
  clear(c_lflag, RAW_LFLAG);
  raw[c_cc + T.VMIN] = 1;
  raw[c_cc + T.VTIME] = 0;
  ioctl("TCSETS", fd, raw);
  return () => ioctl("TCSETS", fd, saved);
}
