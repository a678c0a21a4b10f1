import { STRUCTS } from "./abi/structs.ts";
import { ERRNO, SysError } from "./errors.ts";
import { closeFd } from "./fd.ts";
import type { AsyncFd } from "./poll.ts";
import { Pinned, trySyscall } from "./syscall.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_CTRUNC = 0x8;

/** The most descriptors that the kernel passes in one message. */
export const SCM_MAX_FD = 253;

const { msghdr: MSG, iovec: IOV, cmsghdr: CMSG } = STRUCTS;
const CONTROL_SIZE = CMSG.size + Math.ceil(SCM_MAX_FD / 2) * 8;

/**
 * One message for sendmsg(2) and recvmsg(2): struct msghdr, struct iovec, control data (struct cmsghdr and
 * descriptors), then the bytes. It lives for one attempt, during which the kernel copies everything.
 */
class Message {
  static readonly #IOVEC = MSG.size;
  static readonly #CONTROL = MSG.size + IOV.size;
  static readonly #DATA = Message.#CONTROL + CONTROL_SIZE;
  readonly #memory: Pinned;

  constructor(size: number, controlLength: number) {
    this.#memory = new Pinned(Message.#DATA + size);
    const { view, address } = this.#memory;
    view.setBigUint64(MSG.msg_iov, address + BigInt(Message.#IOVEC), true);
    view.setBigUint64(MSG.msg_iovlen, 1n, true);
    view.setBigUint64(MSG.msg_control, controlLength === 0 ? 0n : address + BigInt(Message.#CONTROL), true);
    view.setBigUint64(MSG.msg_controllen, BigInt(controlLength), true);
    view.setBigUint64(Message.#IOVEC, address + BigInt(Message.#DATA), true);
    view.setBigUint64(Message.#IOVEC + IOV.iov_len, BigInt(size), true);
  }

  get header(): Uint8Array {
    return this.#memory.bytes.subarray(0, MSG.size);
  }

  get data(): Uint8Array {
    return this.#memory.bytes.subarray(Message.#DATA);
  }

  get truncated(): boolean {
    return (this.#memory.view.getUint32(MSG.msg_flags, true) & MSG_CTRUNC) !== 0;
  }

  setFds(fds: readonly number[]): void {
    const { view } = this.#memory;
    view.setBigUint64(Message.#CONTROL, BigInt(CMSG.size + fds.length * 4), true);
    view.setInt32(Message.#CONTROL + CMSG.cmsg_level, SOL_SOCKET, true);
    view.setInt32(Message.#CONTROL + CMSG.cmsg_type, SCM_RIGHTS, true);
    fds.forEach((fd, i) => view.setInt32(Message.#CONTROL + CMSG.size + i * 4, fd, true));
  }

  getFds(): number[] {
    const { view } = this.#memory;
    const fds: number[] = [];
    const end = Message.#CONTROL + Number(view.getBigUint64(MSG.msg_controllen, true));
    let offset = Message.#CONTROL;
    while (offset + CMSG.size <= end) {
      const length = Number(view.getBigUint64(offset, true));
      if (length < CMSG.size) break;
      const rights = view.getInt32(offset + CMSG.cmsg_level, true) === SOL_SOCKET &&
        view.getInt32(offset + CMSG.cmsg_type, true) === SCM_RIGHTS;
      for (let at = offset + CMSG.size; rights && at + 4 <= offset + length; at += 4) {
        fds.push(view.getInt32(at, true));
      }
      offset += (length + 7) & ~7;
    }
    return fds;
  }
}

/**
 * Sends bytes with descriptors over a unix socket. The receiver gets descriptors of its own; the caller keeps these.
 *
 * @param data at least one byte: the descriptors travel with the first
 * @throws {RangeError} for no data, or more than {@linkcode SCM_MAX_FD} descriptors
 */
export async function sendWithFds(socket: AsyncFd, data: Uint8Array, fds: readonly number[]): Promise<void> {
  if (data.length === 0) throw new RangeError("descriptors need at least one byte to travel with");
  if (fds.length > SCM_MAX_FD) throw new RangeError(`at most ${SCM_MAX_FD} descriptors: ${fds.length}`);
  const controlLength = fds.length === 0 ? 0 : (CMSG.size + fds.length * 4 + 7) & ~7;
  const message = new Message(data.length, controlLength);
  if (fds.length > 0) message.setFds(fds);
  message.data.set(data);
  for (;;) {
    const result = trySyscall("sendmsg", [socket.fd, message.header, MSG_NOSIGNAL]);
    if (result >= 0) {
      if (result < data.length) await socket.write(data.subarray(result));
      return;
    }
    if (result !== -ERRNO.EAGAIN) throw new SysError("sendmsg", -result, String(socket.fd));
    await socket.writable();
  }
}

/**
 * Receives bytes and the descriptors that came with them. The caller owns the descriptors; they are close-on-exec.
 *
 * @returns `bytes` 0 at the end of the stream
 * @throws {SysError} `EMSGSIZE` if descriptors were lost for want of room; none is left open then
 */
export async function receiveWithFds(
  socket: AsyncFd,
  into: Uint8Array,
): Promise<{ bytes: number; fds: number[] }> {
  for (;;) {
    const message = new Message(into.length, CONTROL_SIZE);
    const result = trySyscall("recvmsg", [socket.fd, message.header, MSG_CMSG_CLOEXEC]);
    if (result >= 0) {
      const fds = message.getFds();
      if (message.truncated) {
        fds.forEach(closeFd);
        throw new SysError("recvmsg", ERRNO.EMSGSIZE, String(socket.fd));
      }
      into.set(message.data.subarray(0, result));
      return { bytes: result, fds };
    }
    if (result !== -ERRNO.EAGAIN) throw new SysError("recvmsg", -result, String(socket.fd));
    await socket.readable();
  }
}
