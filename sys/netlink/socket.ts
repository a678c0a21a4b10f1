import { STRUCTS } from "../abi/structs.ts";
import { SysError } from "../errors.ts";
import { withNamespace } from "../host.ts";
import { AsyncFd } from "../poll.ts";
import { syscall, trySyscall } from "../syscall.ts";
import {
  frame,
  HEADER_SIZE,
  type Message,
  NLM,
  NLMSG,
  parseAttributes,
  parseMessages,
  text,
  u32,
} from "./message.ts";

const SOCKADDR = STRUCTS.sockaddr_nl;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_FLAGS = 0o2000000 | 0o4000; // close-on-exec, non-blocking
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const NLMSGERR_ATTR_MSG = 1;

/** The kernel never makes larger datagrams for a dump. */
const BUFFER_SIZE = 64 * 1024;

/** How often a dump that the kernel calls inconsistent is repeated. */
const DUMP_TRIES = 8;

/** Families of netlink. */
export const NETLINK = { ROUTE: 0, KOBJECT_UEVENT: 15, GENERIC: 16 } as const;

/**
 * Opens a netlink socket.
 *
 * @param groups multicast groups to listen to, as bits
 * @param namespace path or descriptor of the network namespace to open it in, and to which it then belongs
 */
export function openNetlink(family: number, groups = 0, namespace?: string | number): AsyncFd {
  const open = () => syscall("socket", [AF_NETLINK, SOCK_RAW | SOCK_FLAGS, family]);
  const socket = new AsyncFd(
    namespace === undefined ? open() : withNamespace("net", namespace, open),
    `netlink socket ${family}`,
  );
  try {
    const address = new Uint8Array(SOCKADDR.size);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(SOCKADDR.nl_groups, groups, true);
    syscall("bind", [socket.fd, address, address.length], `netlink ${family}`);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Asks the kernel over netlink, one request at a time. */
export class NetlinkSocket implements Disposable {
  readonly #socket: AsyncFd;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param namespace path or descriptor of a network namespace; one's own if left out */
  constructor(family: number, namespace?: string | number) {
    this.#socket = openNetlink(family, 0, namespace);
    // Explanations with errors, without the request repeated, and dumps that honour their filter. Wishes only:
    // kernels that do not know them ignore them at no harm.
    const on = new Uint8Array([1, 0, 0, 0]);
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK]) {
      trySyscall("setsockopt", [this.#socket.fd, SOL_NETLINK, option, on, on.length]);
    }
  }

  /**
   * Sends a request and waits until the kernel has done it.
   *
   * @param name what errors call the request: "RTM_NEWLINK"
   * @param subject what it is about, for errors
   * @returns the messages of the answer, without the acknowledgement
   * @throws {SysError} the error that the kernel answered, with its explanation
   */
  request(
    name: string,
    type: number,
    flags: number,
    payload: Uint8Array,
    subject?: string,
  ): Promise<Message[]> {
    const turn = this.#last.then(() => this.#exchange(name, type, flags | NLM.ACK, payload, subject));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** As {@linkcode request}, for a list. Repeated when it changed while the kernel told it. */
  dump(name: string, type: number, payload: Uint8Array, subject?: string): Promise<Message[]> {
    const attempt = async (left: number): Promise<Message[]> => {
      const messages = await this.#exchange(name, type, NLM.DUMP, payload, subject);
      const torn = messages.some((message) => message.flags & NLM.DUMP_INTR);
      return torn && left > 1 ? attempt(left - 1) : messages;
    };
    const turn = this.#last.then(() => attempt(DUMP_TRIES));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #exchange(
    name: string,
    type: number,
    flags: number,
    payload: Uint8Array,
    subject?: string,
  ): Promise<Message[]> {
    const sequence = ++this.#sequence;
    await this.#socket.write(frame(type, flags | NLM.REQUEST, sequence, payload));
    const answer: Message[] = [];
    for (;;) {
      const length = await this.#socket.read(this.#buffer);
      for (const message of parseMessages(this.#buffer.slice(0, length))) {
        if (message.sequence !== sequence) continue; // left over from a request that was given up
        if (message.type === NLMSG.ERROR || message.type === NLMSG.DONE) {
          throwIfError(message, name, subject);
          return answer;
        }
        answer.push(message);
      }
    }
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function throwIfError(message: Message, name: string, subject: string | undefined): void {
  const { payload } = message;
  const errno = -((u32(payload) ?? 0) | 0);
  if (errno === 0) return;
  let detail: string | undefined;
  if (message.flags & NLM.ACK_TLVS) {
    // After the code: for an error the header of the request, and the rest of it too unless CAPPED.
    let offset = 4;
    if (message.type === NLMSG.ERROR) {
      const request = u32(payload.subarray(4)) ?? 0;
      offset += message.flags & NLM.CAPPED ? HEADER_SIZE : (request + 3) & ~3;
    }
    detail = text(parseAttributes(payload, offset).get(NLMSGERR_ATTR_MSG));
  }
  throw new SysError(name, errno, subject, detail);
}
