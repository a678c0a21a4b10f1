/** Devices of the host as QEMU has them, and the ports that they are plugged into. Pure functions. */

import { RLIM_INFINITY } from "../../sys/rlimit.ts";
import type { SpawnOptions } from "../../sys/spawn.ts";
import type { HostDevice, VmConfig } from "../vmm.ts";
import { BridgeSlots } from "./hotplug/slots.ts";
import { deviceId } from "./nics.ts";
import { value } from "./values.ts";

/** Properties of a device, of which the first is its driver. */
export type DeviceProperties = { readonly driver: string } & Readonly<Record<string, string>>;

/** How a device of the host is described to QEMU; tests describe another device. */
export type DescribeDevice = (device: HostDevice) => DeviceProperties;

/** Id of what opens devices by nodes of their own. */
export const IOMMUFD = "iommufd0";

/** The real thing. */
export const vfioDevice: DescribeDevice = ({ address, mediated, iommufd }) => ({
  driver: "vfio-pci",
  ...(mediated === undefined ? { host: address } : { sysfsdev: mediated }),
  ...(iommufd && { iommufd: IOMMUFD }),
});

/** A port. Disposing of it makes it free again. */
export interface Port extends Disposable {
  /** QEMU's name of the bus. */
  readonly bus: string;
  /** Slot on it, in two hexadecimal digits. */
  readonly address: string;
}

/** Most ports of one kind: a machine's root bus has no room for more beside all else. */
const MAX_PORTS = 16;

/** The ports of a machine. */
export class DevicePorts {
  readonly #config: Pick<VmConfig, "ports">;
  readonly #count: number;
  readonly #slots: BridgeSlots;
  readonly #taken = new Set<number>();

  /** @param slots places behind the machine's bridges */
  constructor(config: VmConfig, slots: BridgeSlots) {
    this.#config = config;
    this.#count = portCount(config);
    this.#slots = slots;
  }

  /** The first free one. @throws {Error} there is none */
  take(): Port {
    const { ports } = this.#config;
    if (ports === undefined) throw new Error("the VM has no port for a device of the host");
    if (ports.kind === "bridge") return this.#slots.take();
    let index = 0;
    while (this.#taken.has(index)) index++;
    if (index >= this.#count) {
      throw new Error(
        `the VM has no port for another device of the host: all ${this.#count} are taken`,
      );
    }
    this.#taken.add(index);
    return {
      bus: `${ports.kind === "root" ? "rp" : "swdp"}${index}`,
      address: "00",
      [Symbol.dispose]: () => void this.#taken.delete(index),
    };
  }
}

/** A device that is there at boot. */
export interface BootDevice {
  readonly id: string;
  readonly device: HostDevice;
}

/** Those that are there at boot, in the order in which they get their ports. */
export function bootDevices({ nics = [], hostDevices = [] }: VmConfig): BootDevice[] {
  const links = nics.flatMap(({ id, backend }) =>
    backend.kind === "host-device" ? [{ id: deviceId(id), device: backend.device }] : []
  );
  return [...links, ...hostDevices.map((device, number) => ({ id: hostDeviceId(number), device }))];
}

/** QEMU's name of a device that a container has. */
export function hostDeviceId(number: number): string {
  return `host-${number}`;
}

/** How many ports a machine gets. @throws {Error} it would need more than it can have */
function portCount(config: VmConfig): number {
  const { ports } = config;
  if (ports === undefined || ports.kind === "bridge") return 0;
  const needed = bootDevices(config).length;
  if (needed > MAX_PORTS) {
    throw new Error(
      `a VM can have at most ${MAX_PORTS} devices of the host at boot: ${needed} are asked for`,
    );
  }
  return Math.max(ports.count, needed);
}

/** The limits of a QEMU that is not root's: all memory that such a device may reach is locked. */
export function memoryLock({ ports, user }: VmConfig): SpawnOptions["rlimits"] {
  if (ports === undefined || user === undefined) return undefined;
  return { MEMLOCK: { soft: RLIM_INFINITY, hard: RLIM_INFINITY } };
}

const MIB = 1_048_576;

/** Address space behind a port, for the memory of a device that is plugged in. */
const PORT_MEMORY_MIB = 4;
const PORT_PREFETCHABLE_MIB = 2048;

/** The ports themselves. They have room for what is known to come, and for a common device. */
export function portArguments(config: VmConfig): string[] {
  const count = portCount(config);
  if (count === 0) return [];
  const known = bootDevices(config).map(({ device }) => device.memory);
  const { room: later } = config.ports ?? {};
  // those that have no device yet are for any that may come
  const devices = later === undefined ? known : [...known, ...Array(count - known.length).fill(later)];
  const isSwitch = config.ports?.kind === "switch";
  const room = (least: number, sizes: readonly number[]) => {
    const whole = sizes.map((bytes) => powerOfTwo(Math.ceil(bytes / MIB)));
    // all ports of a switch stand behind one port of the root bus
    return Math.max(
      least,
      isSwitch ? powerOfTwo(whole.reduce((sum, size) => sum + size, 0)) : Math.max(0, ...whole),
    );
  };
  const prefetchable = room(PORT_PREFETCHABLE_MIB, devices.map((memory) => memory.prefetchable));
  const other = room(PORT_MEMORY_MIB, devices.map((memory) => memory.other));
  const rootPort = (id: string, slot: number) => [
    "-device",
    `pcie-root-port,id=${id},bus=pcie.0,chassis=0,slot=${slot},multifunction=off,` +
    `pref64-reserve=${prefetchable}M,mem-reserve=${other}M`,
  ];
  const numbers = Array.from({ length: count }, (_, index) => index);
  if (!isSwitch) return numbers.flatMap((index) => rootPort(`rp${index}`, index));
  return [
    ...rootPort("sw-rp0", 0),
    ...["-device", "x3130-upstream,id=swup0,bus=sw-rp0"],
    ...numbers.flatMap((index) => [
      "-device",
      `xio3130-downstream,id=swdp${index},bus=swup0,chassis=1,slot=${index}`,
    ]),
  ];
}

function powerOfTwo(number: number): number {
  return number <= 1 ? number : 2 ** Math.ceil(Math.log2(number));
}

/** The devices that are there at boot. */
export function hostDeviceArguments(config: VmConfig, describe: DescribeDevice = vfioDevice): string[] {
  const ports = new DevicePorts(config, new BridgeSlots(config.bridges ?? 0));
  const devices = bootDevices(config);
  const byNode = devices.some(({ device }) => device.iommufd);
  return [
    ...(byNode ? ["-object", `iommufd,id=${IOMMUFD}`] : []),
    ...devices.flatMap(({ id, device }) => {
      const { bus, address } = ports.take();
      const { driver, ...properties } = describe(device);
      const own = Object.entries(properties).map(([key, text]) => `${key}=${value(text)}`);
      return ["-device", [driver, `id=${id}`, ...own, `bus=${bus}`, `addr=${address}`].join(",")];
    }),
  ];
}
