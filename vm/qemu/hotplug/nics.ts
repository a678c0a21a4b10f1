/** Network devices that come and go while the machine runs. */

import type { Nic, NicPlugs } from "../../vmm.ts";
import { deviceId, queuesOf, vectors } from "../nics.ts";
import { type Plugs, removeDevice } from "./removal.ts";
import { guestPath, type HostDevicesOptions, plugIn } from "./host_devices.ts";
import type { BridgeSlots } from "./slots.ts";

interface Present {
  /** what moves the packets on the host; a device of the host does by itself */
  readonly hasBackend: boolean;
  /** absent for one of the boot */
  readonly place?: Disposable | AsyncDisposable;
}

/** The network devices of a machine. */
export class PluggedNics implements NicPlugs {
  readonly #plugs: Plugs;
  readonly #slots: BridgeSlots;
  readonly #hostDevices: Pick<HostDevicesOptions, "ports" | "describe">;
  /** those that are there */
  readonly #present = new Map<string, Present>();

  /** @param atBoot the devices that the machine has from the beginning */
  constructor(
    plugs: Plugs,
    slots: BridgeSlots,
    hostDevices: Pick<HostDevicesOptions, "ports" | "describe">,
    atBoot: readonly Nic[],
  ) {
    this.#plugs = plugs;
    this.#slots = slots;
    this.#hostDevices = hostDevices;
    for (const { id, backend } of atBoot) {
      this.#present.set(id, backend.kind === "host-device" ? { hasBackend: false } : { hasBackend: true });
    }
  }

  async pathOf(id: string): Promise<string> {
    if (!this.#present.has(id)) throw new Error(`the VM has no network device "${id}"`);
    return await guestPath(this.#plugs.qmp, deviceId(id));
  }

  async add(nic: Nic): Promise<string> {
    const { qmp } = this.#plugs;
    await using undo = new AsyncDisposableStack();
    if (nic.backend.kind === "host-device") {
      const options = { plugs: this.#plugs, ...this.#hostDevices };
      const path = await plugIn(options, deviceId(nic.id), nic.backend.device, undo);
      this.#present.set(nic.id, { hasBackend: false, place: undo.move() });
      return path;
    }
    const place = undo.use(this.#slots.take());
    const backend = await this.#addBackend(nic, undo);
    undo.defer(() => qmp.execute("netdev_del", { id: nic.id }).then(() => {}));
    const queues = queuesOf(nic.backend);
    await qmp.execute("device_add", {
      driver: "virtio-net-pci",
      id: deviceId(nic.id),
      netdev: backend,
      mac: nic.mac,
      bus: place.bus,
      addr: place.address,
      romfile: "",
      ...(nic.queueSize !== undefined && { rx_queue_size: nic.queueSize }),
      ...(queues > 1 && { mq: true, vectors: vectors(queues) }),
    });
    undo.move();
    this.#present.set(nic.id, { hasBackend: true, place });
    return place.path;
  }

  async remove(id: string): Promise<void> {
    const present = this.#present.get(id);
    if (present === undefined) throw new Error(`the VM has no network device "${id}"`);
    await removeDevice(this.#plugs, deviceId(id));
    if (present.hasBackend) await this.#plugs.qmp.execute("netdev_del", { id });
    this.#present.delete(id);
    const { place } = present;
    if (place === undefined) return;
    if (Symbol.asyncDispose in place) await place[Symbol.asyncDispose]();
    else place[Symbol.dispose]();
  }

  /** @returns the back end's id */
  async #addBackend({ id, backend }: Nic, undo: AsyncDisposableStack): Promise<string> {
    const { qmp } = this.#plugs;
    if (backend.kind === "host-device") return id;
    if (backend.kind === "vhost-user") {
      const address = { type: "unix", data: { path: backend.socketPath } };
      const socket = { type: "socket", data: { server: false, addr: address } };
      await qmp.execute("chardev-add", { id: `char-${id}`, backend: socket });
      undo.defer(() => qmp.execute("chardev-remove", { id: `char-${id}` }).then(() => {}));
      await qmp.execute("netdev_add", {
        type: "vhost-user",
        id,
        chardev: `char-${id}`,
        ...(backend.queues !== undefined && { queues: backend.queues }),
      });
      return id;
    }
    await using held = new AsyncDisposableStack();
    const hand = async (fd: number, name: string) => {
      await qmp.execute("getfd", { fdname: name }, { fd });
      // a back end that fails may have taken some of them already
      held.defer(() => qmp.execute("closefd", { fdname: name }).then(() => {}, () => {}));
      return name;
    };
    const fds: string[] = [];
    const vhostfds: string[] = [];
    for (const [queue, fd] of backend.fds.entries()) fds.push(await hand(fd, `tap-${id}-${queue}`));
    for (const [queue, fd] of backend.vhostFds.entries()) {
      vhostfds.push(await hand(fd, `vhost-${id}-${queue}`));
    }
    const kernel = vhostfds.length === 0 ? {} : { vhost: true, vhostfds: vhostfds.join(":") };
    await qmp.execute("netdev_add", { type: "tap", id, fds: fds.join(":"), ...kernel });
    held.move(); // the back end has them now
    return id;
  }
}
