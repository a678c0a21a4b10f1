import { STRUCTS } from "./abi/structs.ts";
import { isErrno } from "./errors.ts";
import { closeFd } from "./fd.ts";
import { withNamespace } from "./host.ts";
import { cstr, fromCstr, Pinned, syscall } from "./syscall.ts";

/** Requests of linux/ethtool.h. */
export const ETHTOOL = { SIOCETHTOOL: 0x8946, ETHTOOL_GDRVINFO: 3 } as const;

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const IFREQ = STRUCTS.ifreq;
const INFO = STRUCTS.ethtool_drvinfo;

/** Who drives a link. */
export interface LinkDriver {
  /** Name of the driver: "ixgbe", "veth". */
  readonly driver: string;
  /** Where the device is on its bus: "0000:05:00.0"; empty for links without hardware. */
  readonly bus: string;
}

/**
 * The driver of a link.
 *
 * @param namespace path or descriptor of the link's network namespace
 * @returns undefined if the driver does not tell
 */
export function linkDriver(name: string, namespace: string | number): LinkDriver | undefined {
  const answer = new Pinned(INFO.size);
  answer.view.setUint32(INFO.cmd, ETHTOOL.ETHTOOL_GDRVINFO, true);
  const request = new Uint8Array(IFREQ.size);
  request.set(cstr(name).subarray(0, IFREQ.ifr_data));
  new DataView(request.buffer).setBigUint64(IFREQ.ifr_data, answer.address, true);
  const socket = withNamespace("net", namespace, () => syscall("socket", [AF_INET, SOCK_DGRAM_CLOEXEC, 0]));
  try {
    syscall("ioctl", [socket, ETHTOOL.SIOCETHTOOL, request], `${name} ETHTOOL_GDRVINFO`);
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP")) return undefined;
    throw error;
  } finally {
    closeFd(socket);
  }
  return { driver: fromCstr(answer.bytes, INFO.driver), bus: fromCstr(answer.bytes, INFO.bus_info) };
}
