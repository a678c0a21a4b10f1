import { ERRNO } from "./errors.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { AsyncFd } from "./poll.ts";
import { syscall } from "./syscall.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;

/** Size of a terminal in characters. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** A pseudo terminal. The caller owns both ends. */
export interface Pty {
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
}

function ioctl(name: string, fd: number, request: number, data: Uint8Array | number): number {
  return syscall("ioctl", [fd, request, data], `${fd} ${name}`);
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
    ioctl("TIOCSPTLCK", master, TIOCSPTLCK, new Uint8Array(4));
    const number = new Uint8Array(4);
    ioctl("TIOCGPTN", master, TIOCGPTN, number);
    // By the master and not by its path: the path may be in another mount, or be another terminal by now.
    const slave = ioctl("TIOCGPTPEER", master, TIOCGPTPEER, O.RDWR | O.NOCTTY | O.CLOEXEC);
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
  ioctl("TIOCSWINSZ", fd, TIOCSWINSZ, new Uint8Array(struct.buffer));
}

/** A terminal's size. @throws {SysError} `ENOTTY` if it is none */
export function getWindowSize(fd: number): WindowSize {
  const struct = new Uint16Array(4);
  ioctl("TIOCGWINSZ", fd, TIOCGWINSZ, new Uint8Array(struct.buffer));
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

// Bits of struct termios as cfmakeraw(3) clears them.
const RAW_IFLAG = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000; // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
const OPOST = 0o1;
const RAW_LFLAG = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000; // ISIG ICANON ECHO ECHONL IEXTEN
const CSIZE = 0o60;
const PARENB = 0o400;
const CS8 = 0o60;
const VTIME = 5;
const VMIN = 6;

/**
 * Puts a terminal into raw mode: every byte passes as it is, at once.
 *
 * @returns what restores the mode it had
 * @throws {SysError} `ENOTTY` if it is no terminal
 */
export function makeRaw(fd: number): () => void {
  // struct termios of the kernel: four flag words, the line discipline, 19 control characters.
  const saved = new Uint8Array(36);
  ioctl("TCGETS", fd, TCGETS, saved);
  const raw = saved.slice();
  const view = new DataView(raw.buffer);
  const clear = (offset: number, bits: number) =>
    view.setUint32(offset, view.getUint32(offset, true) & ~bits, true);
  clear(0, RAW_IFLAG);
  clear(4, OPOST);
  clear(8, CSIZE | PARENB);
  view.setUint32(8, view.getUint32(8, true) | CS8, true);
  clear(12, RAW_LFLAG);
  raw[17 + VMIN] = 1;
  raw[17 + VTIME] = 0;
  ioctl("TCSETS", fd, TCSETS, raw);
  return () => ioctl("TCSETS", fd, TCSETS, saved);
}
