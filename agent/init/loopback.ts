import { closeFd } from "../../sys/fd.ts";
import { cstr, syscall } from "../../sys/syscall.ts";

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 0x1;

/** struct ifreq: a name of 16 bytes, then 16 bits of flags in a union of 24 bytes. */
const IFREQ_SIZE = 40;
const FLAGS_OFFSET = 16;

/**
 * Brings the loopback interface up; its addresses come by themselves.
 *
 * By ioctl and not by netlink: at boot every module of the agent that need not be loaded counts.
 */
export function loopbackUp(): void {
  const socket = syscall("socket", [AF_INET, SOCK_DGRAM_CLOEXEC, 0], "loopback");
  try {
    const request = new Uint8Array(IFREQ_SIZE);
    request.set(cstr("lo"));
    const view = new DataView(request.buffer);
    syscall("ioctl", [socket, SIOCGIFFLAGS, request], "lo SIOCGIFFLAGS");
    view.setUint16(FLAGS_OFFSET, view.getUint16(FLAGS_OFFSET, true) | IFF_UP, true);
    syscall("ioctl", [socket, SIOCSIFFLAGS, request], "lo SIOCSIFFLAGS");
  } finally {
    closeFd(socket);
  }
}
