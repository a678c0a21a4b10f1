/** Network devices as QEMU's arguments. Pure functions. */

import type { Nic } from "../vmm.ts";
import type { CommandLineInput } from "./command_line.ts";
import { virtio } from "./devices.ts";
import { value } from "./values.ts";

/** Name of a descriptor that a network device needs. */
export type NicFdName = `tap of ${string}` | `vhost of ${string}`;

/**
 * The arguments for devices that are there at boot.
 *
 * @param fd takes a descriptor's name and gives the number that QEMU will have it by
 */
export function nicArguments(input: CommandLineInput, fd: (name: NicFdName) => number): string[] {
  return (input.config.nics ?? []).flatMap((nic) =>
    // a device of the host stands with the others of its kind
    nic.backend.kind === "host-device" ? [] : [...backend(nic, fd), "-device", device(input, nic)]
  );
}

/** The descriptors behind the names in {@linkcode nicArguments}. */
export function nicFds(nics: readonly Nic[]): [name: NicFdName, fd: number][] {
  return nics.flatMap(({ id, backend }): [NicFdName, number][] => {
    if (backend.kind !== "tap") return [];
    return [
      ...backend.fds.map((fd, queue): [NicFdName, number] => [`tap of ${id}.${queue}`, fd]),
      ...backend.vhostFds.map((fd, queue): [NicFdName, number] => [`vhost of ${id}.${queue}`, fd]),
    ];
  });
}

/** Whether another process reads and writes the packets in the guest's memory. */
export function needsSharedMemory(nics: readonly Nic[] = []): boolean {
  return nics.some(({ backend }) => backend.kind === "vhost-user");
}

/** How many queues a device has in each direction. */
export function queuesOf(backend: Nic["backend"]): number {
  return backend.kind === "tap"
    ? backend.fds.length
    : backend.kind === "vhost-user"
    ? backend.queues ?? 1
    : 1;
}

/** Vectors of interrupts: two for each pair of queues, one for changes of the device, one for control. */
export function vectors(queues: number): number {
  return 2 * queues + 2;
}

function backend({ id, backend }: Nic, fd: (name: NicFdName) => number): string[] {
  if (backend.kind === "host-device") return [];
  if (backend.kind === "vhost-user") {
    const socket = `socket,id=char-${id},path=${value(backend.socketPath)}`;
    const many = queuesOf(backend) > 1 ? `,queues=${queuesOf(backend)}` : "";
    return ["-chardev", socket, "-netdev", `vhost-user,id=${id},chardev=char-${id}${many}`];
  }
  const fds = backend.fds.map((_, queue) => fd(`tap of ${id}.${queue}`));
  const vhost = backend.vhostFds.map((_, queue) => fd(`vhost of ${id}.${queue}`));
  const kernel = vhost.length === 0 ? "" : `,vhost=on,vhostfds=${vhost.join(":")}`;
  return ["-netdev", `tap,id=${id},fds=${fds.join(":")}${kernel}`];
}

/** Without a ROM: nothing is booted over it, and reading it takes time. */
function device(input: CommandLineInput, { id, mac, backend, queueSize }: Nic): string {
  const queues = queuesOf(backend);
  const many = [
    ...(queueSize === undefined ? [] : [`rx_queue_size=${queueSize}`]),
    ...(queues > 1 ? ["mq=on", `vectors=${vectors(queues)}`] : []),
  ];
  const own = [`id=${deviceId(id)}`, `netdev=${id}`, `mac=${mac}`, "romfile="];
  return virtio(input, "virtio-net-pci", ...own, ...many);
}

/** What QEMU calls the device, as its back end has the id itself. */
export function deviceId(id: string): string {
  return `virtio-${id}`;
}
