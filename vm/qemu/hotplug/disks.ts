/** Disks that come and go while a machine runs. */

import type { Disk, DiskAddress, DiskSettings, PluggedDisk } from "../../vmm.ts";
import { QmpError } from "../qmp.ts";
import { type Plugs, removeDevice } from "./removal.ts";
import type { BridgeSlots } from "./slots.ts";

/** The controller of SCSI disks. */
const SCSI = "scsi0";

/** A SCSI target has this many units, and a controller of virtio-scsi this many targets. */
const SCSI_UNITS = 256;
const SCSI_TARGETS = 256;

/** What the disks of a machine are plugged in with. */
export interface DisksOptions {
  readonly plugs: Plugs;
  readonly slots: BridgeSlots;
  /** whether the machine was booted with the controller of SCSI disks */
  readonly hasScsi: boolean;
  /** queues of each disk: one for each processor */
  readonly queues: number;
  readonly settings: DiskSettings;
}

/** The disks of a machine. */
export class Disks {
  readonly #options: DisksOptions;
  readonly #numbers = new Set<number>();
  #hasScsi: boolean;
  #controller: Promise<void> | undefined;

  constructor(options: DisksOptions) {
    this.#options = options;
    this.#hasScsi = options.hasScsi;
  }

  /**
   * Plugs a disk in.
   *
   * @throws {Error} there is no place left, or QEMU refuses; nothing is left behind
   */
  async add(disk: Disk): Promise<PluggedDisk> {
    const number = this.#takeNumber();
    await using undo = new AsyncDisposableStack();
    undo.defer(() => void this.#numbers.delete(number));
    if (disk.served) return await this.#addServed(number, disk.path, disk.served.reconnectS, undo);
    await this.#addBackend(number, disk);
    undo.defer(() => this.#removeBackend(number));
    const driver = disk.driver ?? this.#options.settings.driver;
    const address = driver === "virtio-scsi"
      ? await this.#plugScsi(number)
      : await this.#plugPci(number, undo);
    return this.#plugged(number, address, undo.move());
  }

  /** @param behind what is given back when the guest has let go of the disk; one that it keeps keeps all of it */
  #plugged(number: number, address: DiskAddress, behind: AsyncDisposableStack): PluggedDisk {
    return {
      address,
      resize: (bytes) => this.#resize(number, bytes),
      [Symbol.asyncDispose]: () =>
        removeDevice(this.#options.plugs, deviceName(number)).then(() => behind.disposeAsync()),
    };
  }

  async #addServed(
    number: number,
    path: string,
    reconnect: number,
    undo: AsyncDisposableStack,
  ): Promise<PluggedDisk> {
    const { qmp } = this.#options.plugs;
    const chardev = `char-disk-${number}`;
    const data = {
      server: false,
      addr: { type: "unix", data: { path } },
      ...(reconnect > 0 ? { reconnect } : {}),
    };
    await qmp.execute("chardev-add", { id: chardev, backend: { type: "socket", data } });
    undo.defer(() => qmp.execute("chardev-remove", { id: chardev }).then(() => {}));
    const { bus, address: addr, path: slots } = undo.use(this.#options.slots.take());
    await qmp.execute("device_add", {
      driver: "vhost-user-blk-pci",
      id: deviceName(number),
      chardev,
      bus,
      addr,
    });
    return this.#plugged(number, { kind: "pci", path: slots }, undo.move());
  }

  async #resize(number: number, bytes: number): Promise<void> {
    await this.#options.plugs.qmp.execute("block_resize", { "node-name": nodeName(number), size: bytes });
  }

  /** Numbers are used again, so that a machine does not run out of addresses. */
  #takeNumber(): number {
    let number = 0;
    while (this.#numbers.has(number)) number++;
    this.#numbers.add(number);
    return number;
  }

  async #addBackend(number: number, disk: Disk): Promise<void> {
    const { aio } = this.#options.settings;
    try {
      await this.#addNode(number, disk, aio);
    } catch (error) {
      // a QEMU, or a kernel, without it
      if (aio !== "io_uring" || !(error instanceof QmpError)) throw error;
      await this.#addNode(number, disk, "threads");
    }
  }

  async #addNode(
    number: number,
    { path, readonly, isDevice }: Disk,
    aio: DiskSettings["aio"],
  ): Promise<void> {
    const { cache } = this.#options.settings;
    const node = {
      "node-name": nodeName(number),
      driver: "raw",
      "read-only": readonly,
      file: { driver: isDevice ? "host_device" : "file", filename: path, aio, "read-only": readonly },
      ...(cache && { cache: { direct: cache.direct, "no-flush": cache.noFlush } }),
    };
    await this.#options.plugs.qmp.execute("blockdev-add", node);
  }

  async #removeBackend(number: number): Promise<void> {
    await this.#options.plugs.qmp.execute("blockdev-del", { "node-name": nodeName(number) });
  }

  async #plugPci(number: number, undo: AsyncDisposableStack): Promise<DiskAddress> {
    const place = undo.use(this.#options.slots.take());
    await this.#options.plugs.qmp.execute("device_add", {
      driver: "virtio-blk-pci",
      id: deviceName(number),
      drive: nodeName(number),
      bus: place.bus,
      addr: place.address,
      "share-rw": true,
      "num-queues": this.#options.queues,
      romfile: "",
    });
    return { kind: "pci", path: place.path };
  }

  async #plugScsi(number: number): Promise<DiskAddress> {
    const [target, unit] = [Math.floor(number / SCSI_UNITS), number % SCSI_UNITS];
    if (target >= SCSI_TARGETS) {
      throw new Error("cannot plug in a disk: all addresses of the VM's SCSI bus are taken");
    }
    if (!this.#hasScsi) await (this.#controller ??= this.#plugController());
    await this.#options.plugs.qmp.execute("device_add", {
      driver: "scsi-hd",
      id: deviceName(number),
      drive: nodeName(number),
      bus: `${SCSI}.0`,
      "scsi-id": target,
      lun: unit,
      "share-rw": true,
    });
    return { kind: "scsi", address: `${target}:${unit}` };
  }

  /** With the first disk: a machine without disks boots sooner without a controller. */
  async #plugController(): Promise<void> {
    await using undo = new AsyncDisposableStack();
    const { bus, address: addr } = undo.use(this.#options.slots.take());
    const { plugs, settings } = this.#options;
    const iothread = settings.ioThread ? { iothread: `iothread-${SCSI}` } : {};
    if (settings.ioThread) {
      await plugs.qmp.execute("object-add", { "qom-type": "iothread", id: `iothread-${SCSI}` });
    }
    await plugs.qmp.execute("device_add", {
      driver: "virtio-scsi-pci",
      id: SCSI,
      bus,
      addr,
      romfile: "",
      ...iothread,
    });
    this.#hasScsi = true;
    undo.move();
  }
}

function nodeName(number: number): string {
  return `drive-${number}`;
}

function deviceName(number: number): string {
  return `disk-${number}`;
}
