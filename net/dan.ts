/**
 * Files that describe the network devices of a sandbox, in the place of links in a network namespace ("directly
 * attachable network").
 *
 * @module
 */

import {
  absolutePath,
  type Check,
  integer,
  list,
  mustBe,
  object,
  optional,
  record,
  SpecError,
  text,
} from "../oci/check.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import { AF, familyOf, formatIp, formatMac, parseIp, parseMac, parsePrefix } from "../sys/netlink/address.ts";
import type { Link } from "../sys/netlink/link.ts";
import { type Address, MAIN_TABLE, type Neighbour, NUD, PROTOCOL, type Route } from "../sys/netlink/route.ts";
import { isPciAddress } from "../sys/pci.ts";
import type { PodLink } from "./scan.ts";

/** What is behind a network device. */
export type DanBackend =
  /** a tap that is there already */
  | { readonly kind: "tap"; readonly name: string; readonly queues: number; readonly queueSize?: number }
  /** a socket, behind which another program moves the packets */
  | {
    readonly kind: "vhost-user";
    readonly path: string;
    readonly queues: number;
    readonly queueSize?: number;
  }
  /** a device of the host, which comes with the container that has its VFIO node */
  | { readonly kind: "vfio"; readonly address: string };

/** A network device. */
export interface DanDevice {
  /** name of the link in the guest, and all that the guest shall have of it; its address may be empty: any will do */
  readonly pod: PodLink;
  readonly backend: DanBackend;
}

/** What a file says. */
export interface Dan {
  /** path of the network namespace that the taps are in; absent: this program's */
  readonly netns?: string;
  readonly devices: readonly DanDevice[];
}

/**
 * Reads the file of a sandbox.
 *
 * @param folder empty: there are no files
 * @returns undefined if there is no file
 * @throws {RpcError} `INVALID_ARGUMENT`: it cannot be read, or the JSON path of what is wrong in it
 */
export async function readDan(folder: string, sandboxId: string): Promise<Dan | undefined> {
  if (folder === "") return undefined;
  const path = `${folder}/${sandboxId}.json`;
  let content: string;
  try {
    content = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw refused(path, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  try {
    return parseDan(content);
  } catch (error) {
    if (error instanceof SpecError) throw refused(path, error.message, error);
    throw error;
  }
}

function refused(path: string, why: string, cause: unknown): RpcError {
  return new RpcError(Code.InvalidArgument, `description of network devices "${path}": ${why}`, { cause });
}

/** Reads a description. @throws {SpecError} the JSON path of what is wrong */
export function parseDan(content: string): Dan {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new SpecError("", `is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { netns, devices } = FILE(value, "");
  const described = devices.map((device, index) => danDevice(device, index));
  refuseTwins(described);
  return { ...(netns && { netns }), devices: described };
}

interface FileDevice {
  readonly name: string;
  readonly guest_mac?: string;
  readonly device: DanBackend;
  readonly network_info?: FileNetwork;
}

interface FileNetwork {
  readonly interface?: FileInterface;
  readonly routes?: FileRoute[];
  readonly neighbors?: FileNeighbour[];
}

interface FileInterface {
  readonly ip_addresses?: string[];
  readonly mtu?: number;
  readonly ntype?: string;
  readonly flags?: number;
}

interface FileRoute {
  readonly dest?: string;
  readonly gateway?: string;
  readonly source?: string;
  readonly scope?: number;
  readonly mtu?: number;
  readonly flags?: number;
}

interface FileNeighbour {
  readonly ip_address: string;
  readonly hardware_addr?: string;
  readonly state?: number;
  readonly flags?: number;
}

/** Longest name of a link. */
const MAX_NAME = 15;

const linkName: Check<string> = (value, path) => {
  const name = text(value, path);
  if (name.length > 0 && name.length <= MAX_NAME && !/[\s/:]/.test(name) && name !== "." && name !== "..") {
    return name;
  }
  return mustBe(`the name of a link, of at most ${MAX_NAME} characters`, value, path);
};

/** A text that is read by a function which throws at others. */
function readBy(read: (text: string) => unknown, what: string): Check<string> {
  return (value, path) => {
    try {
      read(text(value, path));
    } catch (error) {
      if (error instanceof RangeError) return mustBe(what, value, path);
      throw error;
    }
    return value as string;
  };
}

/** Texts of Go and Rust are empty where there is none. */
function unlessEmpty<T>(check: Check<T>): Check<T | undefined> {
  return (value, path) =>
    value === "" || value === undefined || value === null ? undefined : check(value, path);
}

const mac = readBy((text) => {
  if (parseMac(text).length !== 6) throw new RangeError();
}, 'a hardware address such as "02:00:00:00:00:01"');
const ip = readBy(parseIp, "an IP address");
const prefix = readBy((text) => {
  if (!text.includes("/")) throw new RangeError();
  parsePrefix(text);
}, 'an IP address with the length of its network, such as "10.0.0.2/24"');
const ipOrPrefix = readBy(parsePrefix, "an IP address");
const uint32 = optional(integer(0, 2 ** 32 - 1));
const mtu = optional(integer(0, 65_535));
const queues = optional(integer(0, 256));

/** Sizes that QEMU knows; smaller and larger ones count as the nearest. */
const [SMALLEST_QUEUE, LARGEST_QUEUE] = [256, 1024];

const queueSize: Check<number | undefined> = (value, path) => {
  const size = optional(integer(0, 32_768))(value, path) ?? 0;
  if (size === 0) return undefined;
  if (!Number.isInteger(Math.log2(size))) return mustBe("a power of two", value, path);
  return Math.min(Math.max(size, SMALLEST_QUEUE), LARGEST_QUEUE);
};

const pciAddress: Check<string> = (value, path) => {
  const address = text(value, path).toLowerCase();
  return isPciAddress(address)
    ? address
    : mustBe('the address of a PCI device such as "0000:3b:00.0"', value, path);
};

const BACKENDS: Readonly<Record<string, Check<DanBackend>>> = {
  "host-tap": (value, path) => {
    const given = record<{ tap_name: string; queue_num?: number; queue_size?: number }>({
      tap_name: linkName,
      queue_num: queues,
      queue_size: queueSize,
    })(value, path);
    return { kind: "tap", name: given.tap_name, ...sizes(given) };
  },
  "vhost-user": (value, path) => {
    const given = record<{ path: string; queue_num?: number; queue_size?: number }>({
      path: absolutePath,
      queue_num: queues,
      queue_size: queueSize,
    })(value, path);
    return { kind: "vhost-user", path: given.path, ...sizes(given) };
  },
  vfio: (value, path) => {
    const given = record<{ pci_device_id: string }>({ pci_device_id: pciAddress })(value, path);
    return { kind: "vfio", address: given.pci_device_id };
  },
};

function sizes(
  { queue_num: queues = 1, queue_size: queueSize }: { queue_num?: number; queue_size?: number },
) {
  return { queues: Math.max(queues, 1), ...(queueSize !== undefined && { queueSize }) };
}

const backend: Check<DanBackend> = (value, path) => {
  const { type } = object(value, path);
  const check = typeof type === "string" && Object.hasOwn(BACKENDS, type) ? BACKENDS[type] : undefined;
  if (check !== undefined) return check(value, path);
  return mustBe(
    `one of ${Object.keys(BACKENDS).map((name) => `"${name}"`).join(", ")}`,
    type,
    `${path}.type`,
  );
};

const NETWORK = record<FileNetwork>({
  interface: optional(
    record<FileInterface>({
      ip_addresses: optional(list(prefix)),
      mtu,
      ntype: optional(text),
      flags: uint32,
    }),
  ),
  routes: optional(
    list(
      record<FileRoute>({
        dest: unlessEmpty((value, path) => value === "default" ? undefined : ipOrPrefix(value, path)),
        gateway: unlessEmpty(ip),
        source: unlessEmpty(ip),
        scope: optional(integer(0, 255)),
        mtu: uint32,
        flags: uint32,
      }),
    ),
  ),
  neighbors: optional(
    list(
      record<FileNeighbour>({
        ip_address: ipOrPrefix,
        hardware_addr: unlessEmpty(mac),
        state: uint32,
        flags: uint32,
      }),
    ),
  ),
});

const FILE = record<{ netns?: string; devices: FileDevice[] }>({
  netns: unlessEmpty(absolutePath),
  devices: list(
    record<FileDevice>({
      name: linkName,
      guest_mac: unlessEmpty(mac),
      device: backend,
      network_info: optional(NETWORK),
    }),
  ),
});

const RTN_UNICAST = 1;
const ARPHRD_ETHER = 1;

/** @param index of the device; the guest's links are numbered so, as none of them is a link of the host */
function danDevice(
  { name, guest_mac = "", device, network_info = {} }: FileDevice,
  index: number,
): DanDevice {
  if (device.kind === "vfio" && guest_mac === "") {
    throw new SpecError(`devices[${index}].guest_mac`, "must be set, as the guest finds the device by it");
  }
  const { interface: wanted = {}, routes = [], neighbors = [] } = network_info;
  return {
    backend: device,
    pod: {
      link: linkOf(name, guest_mac, wanted, index),
      addresses: (wanted.ip_addresses ?? []).map((text) => addressOf(text, index)),
      routes: routes.map((route) => routeOf(route, index)),
      neighbours: neighbors.map((neighbour) => neighbourOf(neighbour, index)),
    },
  };
}

function linkOf(
  name: string,
  mac: string,
  { mtu = 0, ntype, flags = 0 }: FileInterface,
  index: number,
): Link {
  return {
    index,
    name,
    flags,
    up: true,
    mtu,
    address: mac === "" ? "" : formatMac(parseMac(mac)),
    hardware: ARPHRD_ETHER,
    kind: ntype,
    master: undefined,
    lower: undefined,
    txQueueLength: 0,
    operationalState: 0,
  };
}

function addressOf(text: string, link: number): Address {
  const { address, length } = parsePrefix(text);
  return { link, family: familyOf(parseIp(address)), address, prefixLength: length, scope: 0, flags: 0 };
}

function routeOf({ dest, gateway, source, scope = 0, flags = 0, mtu }: FileRoute, link: number): Route {
  const known = dest === undefined ? gateway ?? source : parsePrefix(dest).address;
  return {
    family: known === undefined ? AF.INET : familyOf(parseIp(known)),
    destination: dest,
    gateway,
    source,
    link,
    scope,
    type: RTN_UNICAST,
    protocol: PROTOCOL.static,
    table: MAIN_TABLE,
    flags,
    priority: undefined,
    mtu,
  };
}

function neighbourOf(
  { ip_address, hardware_addr: hardwareAddress = "", state, flags = 0 }: FileNeighbour,
  link: number,
): Neighbour {
  const bytes = parseIp(parsePrefix(ip_address).address);
  return {
    link,
    family: familyOf(bytes),
    address: formatIp(bytes),
    hardwareAddress,
    state: state || NUD.PERMANENT,
    flags,
  };
}

/** In the guest a link is found by its hardware address, and then has its name. */
function refuseTwins(devices: readonly DanDevice[]): void {
  for (const [index, { pod: { link } }] of devices.entries()) {
    const before = devices.slice(0, index).map(({ pod }) => pod.link);
    const path = `devices[${index}]`;
    if (before.some(({ name }) => name === link.name)) {
      throw new SpecError(`${path}.name`, `must be another one than those before: it is "${link.name}"`);
    }
    if (link.address !== "" && before.some(({ address }) => address === link.address)) {
      throw new SpecError(
        `${path}.guest_mac`,
        `must be another one than those before: it is "${link.address}"`,
      );
    }
  }
}
