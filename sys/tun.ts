/** Ethernet devices whose other end is a descriptor: taps of the TUN/TAP driver, and those of macvtap. */

import { STRUCTS } from "./abi/structs.ts";
import { ERRNO, isErrno, SysError } from "./errors.ts";
import { O, openFd, OwnedFd } from "./fd.ts";
import { withNamespace } from "./host.ts";
import { cstr, fromCstr, syscall } from "./syscall.ts";

/** Requests and flags of linux/if_tun.h. */
export const TUN = {
  TUNSETIFF: 0x400454ca,
  TUNGETIFF: 0x800454d2,
  IFF_TAP: 0x2,
  IFF_MULTI_QUEUE: 0x100,
  IFF_NO_PI: 0x1000,
  IFF_VNET_HDR: 0x4000,
  IFF_TUN_EXCL: 0x8000,
} as const;

const IFREQ = STRUCTS.ifreq;
const CLONE_DEVICE = "/dev/net/tun";

/** Ethernet frames with the header of virtio in front, so that checksums and segmentation can be left to the other end. */
const FRAMES = TUN.IFF_TAP | TUN.IFF_NO_PI | TUN.IFF_VNET_HDR;

/** A tap to open. */
export interface TapOptions {
  readonly name: string;
  /** Descriptors, each with a queue of its own. */
  readonly queues: number;
  /** Path or descriptor of the network namespace that it belongs to. */
  readonly namespace: string | number;
  /** Whether it must not be there yet (true), or may be there already. */
  readonly exclusive: boolean;
}

/**
 * Opens a tap, one descriptor per queue. One that is made by this is gone when the last descriptor is closed, by
 * whoever has it and for whatever reason.
 *
 * @throws {SysError} `EBUSY` if the name is taken and `exclusive`, or all queues of an existing tap are in use;
 * `EINVAL` if an existing link is of another kind
 */
export function openTap(options: TapOptions): OwnedFd[] {
  const flags = FRAMES | (options.queues > 1 ? TUN.IFF_MULTI_QUEUE : 0);
  using opened = new DisposableStack();
  const queues: OwnedFd[] = [];
  for (let i = 0; i < options.queues; i++) {
    // the namespace counts when the device is opened, not when it gets its name
    const fd = withNamespace("net", options.namespace, () => openFd(CLONE_DEVICE, O.RDWR | O.NONBLOCK));
    queues.push(opened.use(new OwnedFd(fd)));
    setInterface(fd, options.name, flags | (options.exclusive && i === 0 ? TUN.IFF_TUN_EXCL : 0));
  }
  opened.move();
  return queues;
}

/**
 * Opens the descriptors of a macvtap link, one per queue.
 *
 * @param index of the link; its device node has it in its name
 * @throws {SysError} `ENOENT` if the host has no such node, `ENODEV` if it belongs to a link of another name
 */
export function openMacvtap(name: string, index: number, count: number): OwnedFd[] {
  const path = `/dev/tap${index}`;
  using opened = new DisposableStack();
  const queues: OwnedFd[] = [];
  for (let i = 0; i < count; i++) {
    const queue = opened.use(new OwnedFd(openFd(path, O.RDWR | O.NONBLOCK)));
    // links of several namespaces can have the same index, but only one of them the node
    if (interfaceOf(queue.fd) !== name) throw new SysError("open", ERRNO.ENODEV, path);
    setInterface(queue.fd, name, FRAMES | (count > 1 ? TUN.IFF_MULTI_QUEUE : 0));
    queues.push(queue);
  }
  opened.move();
  return queues;
}

function setInterface(fd: number, name: string, flags: number): void {
  const request = new Uint8Array(IFREQ.size);
  request.set(cstr(name).subarray(0, IFREQ.ifr_flags));
  new DataView(request.buffer).setUint16(IFREQ.ifr_flags, flags, true);
  syscall("ioctl", [fd, TUN.TUNSETIFF, request], `TUNSETIFF ${name}`);
}

/** The name of the link that a descriptor belongs to; undefined if it belongs to none. */
export function interfaceOf(fd: number): string | undefined {
  const request = new Uint8Array(IFREQ.size);
  try {
    syscall("ioctl", [fd, TUN.TUNGETIFF, request], "TUNGETIFF");
  } catch (error) {
    if (isErrno(error, "EBADFD", "ENODEV", "ENOLINK")) return undefined;
    throw error;
  }
  return fromCstr(request.subarray(0, IFREQ.ifr_flags));
}
