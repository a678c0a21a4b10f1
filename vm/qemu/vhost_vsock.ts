/** The host kernel's vsock device. */

import { ERRNO, SysError } from "../../sys/errors.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import { trySyscall } from "../../sys/syscall.ts";

/** An open device, bound to a context id that no other guest has. */
export interface VhostVsock {
  /** the caller owns it */
  readonly fd: number;
  readonly cid: number;
}

const DEVICE = "/dev/vhost-vsock";

/** `_IOW(0xaf, 0x60, __u64)` (linux/vhost.h). */
const VHOST_VSOCK_SET_GUEST_CID = 0x4008_af60;

/** 0 to 2 are the hypervisor, the loopback, and the host; the last is "any". */
const FIRST_CID = 3;
const LAST_CID = 0xffff_fffe;

/** With 32 bits to choose from, a second try is rare already. */
const TRIES = 50;

/**
 * Opens the device with a random context id.
 *
 * @throws {SysError} `ENOENT` if the host has none
 */
export function openVhostVsock(): VhostVsock {
  const fd = openFd(DEVICE, O.RDWR);
  for (let attempt = 1;; attempt++) {
    const cid = randomCid();
    const argument = new Uint8Array(new BigUint64Array([BigInt(cid)]).buffer);
    const result = trySyscall("ioctl", [fd, VHOST_VSOCK_SET_GUEST_CID, argument]);
    if (result >= 0) return { fd, cid };
    if (result === -ERRNO.EADDRINUSE && attempt < TRIES) continue;
    closeFd(fd);
    throw new SysError("VHOST_VSOCK_SET_GUEST_CID", -result, DEVICE);
  }
}

function randomCid(): number {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  return FIRST_CID + random % (LAST_CID - FIRST_CID + 1);
}
