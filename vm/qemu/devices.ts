/** Devices of a machine that a configuration may ask for, as QEMU's arguments. Pure functions. */

import type { GuestImage, VmConfig } from "../vmm.ts";
import type { CommandLineInput } from "./command_line.ts";
import { value } from "./values.ts";

/** First slot of bridges on the root bus: fixed, so that addresses do not depend on what else there is. */
export const FIRST_BRIDGE_SLOT = 2;

const MIB = 1_048_576;

/** Name of the extra monitor's socket in the run folder. */
export const EXTRA_MONITOR = "extra-monitor.sock";

/**
 * A virtio device on PCI.
 *
 * @param driver such as "virtio-blk-pci"
 */
export function virtio(input: CommandLineInput, driver: string, ...options: readonly string[]): string {
  // inside another virtual machine each access to a modern device's registers costs a further exit
  const legacy = input.nested === true && !LATEST_ONLY.has(driver);
  const extra = [
    ...(legacy ? ["disable-modern=true"] : []),
    ...(input.config.iommuPlatform && !legacy ? ["disable-legacy=on", "iommu_platform=on"] : []),
  ];
  return [driver, ...options, ...extra].join(",");
}

/** Drivers without the old interface. */
const LATEST_ONLY = new Set(["virtio-mem-pci", "vhost-vsock-pci"]);

/** What stands first on the bus: bridges have fixed slots, and an IOMMU is there before what goes through it. */
export function buses({ config }: CommandLineInput): string[] {
  const args: string[] = [];
  if (config.iommu) args.push("-device", "intel-iommu,intremap=on,device-iotlb=on,caching-mode=on");
  if (config.machineType === "microvm") return args;
  for (let index = 0; index < (config.bridges ?? 0); index++) {
    args.push(
      "-device",
      `pci-bridge,bus=pcie.0,id=pci-bridge-${index},chassis_nr=${index + 1},shpc=off,` +
        `addr=${FIRST_BRIDGE_SLOT + index},io-reserve=4k,mem-reserve=1m,pref64-reserve=1m`,
    );
  }
  return args;
}

/** The root disk. */
export function image(input: CommandLineInput): string[] {
  const { image } = input.config;
  if (image === undefined) return [];
  return image.asMemory ? imageAsMemory(input, image) : imageAsDisk(input, image);
}

function imageAsMemory({ arch }: CommandLineInput, { path, sizeBytes }: GuestImage): string[] {
  // machines of arm64 cannot say that the memory is read-only; the mapping is private there
  const [device, backend] = arch === "x86_64" ? [",unarmed=on", ",readonly=on"] : ["", ",share=off"];
  return [
    ...["-object", `memory-backend-file,id=mem0,mem-path=${value(path)},size=${sizeBytes}${backend}`],
    ...["-device", `nvdimm,id=nv0,memdev=mem0${device}`],
  ];
}

function imageAsDisk(input: CommandLineInput, { path }: GuestImage): string[] {
  return readOnlyDisk(input, "image-0", path);
}

function readOnlyDisk(input: CommandLineInput, id: string, path: string): string[] {
  return [
    ...["-drive", `id=${id},file=${value(path)},aio=threads,format=raw,if=none,readonly=on`],
    "-device",
    virtio(input, "virtio-blk-pci", `drive=${id}`, "config-wce=off", "share-rw=on", `serial=${id}`),
  ];
}

/**
 * The disk in an initrd's file, which the guest's agent lies on. All machines read the same pages of the host's. The
 * guest's first program looks for it by its place.
 */
export function initrdDisk(input: CommandLineInput): string[] {
  const { config: { initrd }, initrdDisk } = input;
  if (initrd === undefined || initrdDisk === undefined) return [];
  const { offset, size } = initrdDisk;
  return [
    ...[
      "-blockdev",
      `driver=raw,node-name=initrd-0,read-only=on,offset=${offset},size=${size},` +
      `file.driver=file,file.filename=${value(initrd)},file.aio=threads,file.locking=off`,
    ],
    ...["-device", virtio(input, "virtio-blk-pci", "drive=initrd-0", "config-wce=off", "share-rw=on")],
  ];
}

/** Behind the root disk, which the guest's kernel looks for by its place. */
export function initData(input: CommandLineInput): string[] {
  const { initData } = input.config;
  return initData === undefined ? [] : readOnlyDisk(input, "initdata", initData);
}

/** The controller that SCSI disks are plugged into. */
export function scsi(input: CommandLineInput): string[] {
  const { scsi } = input.config;
  if (scsi === undefined) return [];
  const thread = scsi.ioThread ? ["iothread=iothread-scsi0"] : [];
  return [
    ...(scsi.ioThread ? ["-object", "iothread,id=iothread-scsi0"] : []),
    ...["-device", virtio(input, "virtio-scsi-pci", "id=scsi0", ...thread)],
  ];
}

/** Gives back to the host what the guest has freed. */
export function balloon(input: CommandLineInput): string[] {
  if (!input.config.balloon) return [];
  return ["-device", virtio(input, "virtio-balloon-pci", "id=balloon0", "free-page-reporting=on")];
}

/** A device by which the guest's kernel tells that it panicked; the machine stays, so that its memory can be read. */
export function panicDevice({ config }: CommandLineInput): string[] {
  return config.memoryDump === undefined
    ? []
    : ["-device", config.machineType === "virt" ? "pvpanic-pci" : "pvpanic"];
}

/** What the machine runs before the kernel, and where it keeps its settings. */
export function firmware({ config }: CommandLineInput): string[] {
  const flashes = (config.pflashes ?? []).flatMap((path) => ["-pflash", path]);
  if (config.firmware === undefined) return flashes;
  if (config.firmwareVolume === undefined) return [...flashes, "-bios", config.firmware];
  const drive = (
    unit: number,
    path: string,
    mode: string,
  ) => ["-drive", `if=pflash,unit=${unit},format=raw,${mode}=on,file=${value(path)}`];
  return [
    ...flashes,
    ...drive(0, config.firmware, "readonly"),
    ...drive(1, config.firmwareVolume, "snapshot"),
  ];
}

/** A monitor for people, beside the one of this program. */
export function extraMonitor({ dir, extraMonitor }: VmConfig): string[] {
  if (extraMonitor === undefined) return [];
  const option = { hmp: "-monitor", qmp: "-qmp", "qmp-pretty": "-qmp-pretty" }[extraMonitor];
  return [option, `unix:path=${value(`${dir}/${EXTRA_MONITOR}`)},server=on,wait=off`];
}

/** Pages for enclaves. */
export function enclavePages({ config }: CommandLineInput): string[] {
  if (!config.sgxBytes) return [];
  const size = config.sgxBytes % MIB === 0 ? `${config.sgxBytes / MIB}M` : String(config.sgxBytes);
  return ["-object", `memory-backend-epc,id=epc0,size=${size},prealloc=on`];
}
