/** Of `[hypervisor.qemu]`: files, disks, buses, network. */

import type { Text } from "./text.ts";

export const DEVICE_TEXTS = {
  shared_fs: {
    group: "Files of the host in the guest",
    doc:
      'How the guest sees files of the host. With "none" it is sent copies, of at most half of its memory each: what it ' +
      "changes stays in the guest, and only ConfigMaps, Secrets, projected and downward API volumes follow the host's. " +
      "Roots of containers have to be on disks of a snapshotter then.",
    effect: "virtiofsd and `-device vhost-user-fs-pci`, or `-fsdev` and `-device virtio-9p-pci`",
  },
  virtio_fs_daemon: {
    doc: "The virtio-fs daemon's program; empty = the installed virtiofsd.",
    effect: "the program that is started beside QEMU",
    example: '"/usr/libexec/virtiofsd"',
  },
  valid_virtio_fs_daemon_paths: {
    doc: "Patterns of files that the annotation of virtio_fs_daemon may name.",
    effect: "which annotations are accepted",
  },
  virtio_fs_cache: {
    doc: 'What the guest may cache of shared files. "none" is an old name of "never".',
    effect: "virtiofsd's `--cache`",
  },
  virtio_fs_cache_size: {
    doc:
      "Size of the window through which the guest maps files of the host; 0 = no window. QEMU must know it, which " +
      "few versions do.",
    effect: "`cache-size=` of `vhost-user-fs-pci`, mount option `dax` in the guest",
  },
  virtio_fs_queue_size: {
    doc: "Length of the file system's request queue, a power of two; 0 = the default.",
    effect: "`queue-size=` of `vhost-user-fs-pci`",
  },
  virtio_fs_extra_args: {
    doc: "Further arguments of the virtio-fs daemon. An annotation, a JSON array, adds to them.",
    effect: "appended to virtiofsd's command line",
    example: '["--thread-pool-size=1"]',
  },
  msize_9p: {
    doc: "Largest message of a 9p share; 0 = the default.",
    effect: "mount option `msize=` in the guest",
  },
  block_device_driver: {
    group: "Disks",
    doc: "How disks are attached to the machine.",
    effect:
      "the devices that are plugged in for disks; with virtio-scsi `scsi_mod.scan=none` on the kernel's command line",
  },
  block_device_aio: {
    doc: "How QEMU reads and writes disks that are plugged in.",
    effect: "`aio` of disks that are plugged in",
  },
  block_device_cache_set: {
    doc: "Apply block_device_cache_direct and block_device_cache_noflush.",
    effect: "whether disks get cache settings",
  },
  block_device_cache_direct: {
    doc: "Bypass the host's page cache.",
    effect: "`cache.direct` of disks that are plugged in",
  },
  block_device_cache_noflush: {
    doc: "Ignore the guest's flush requests.",
    effect: "`cache.no-flush` of disks that are plugged in",
  },
  disable_block_device_use: {
    doc: "Share file systems on block devices as files instead of attaching the devices.",
    effect:
      "a root file system on a disk is shared as files; mounts of disks are refused, their device nodes left out",
  },
  enable_iothreads: {
    doc: "Give the SCSI controller a thread of its own.",
    effect: "an `iothread` object, made with the controller",
  },
  disable_image_nvdimm: {
    doc: "Attach the image as a disk instead of mapping it as memory (NVDIMM).",
    effect: "`-device virtio-blk-pci` instead of `-device nvdimm`",
  },
  enable_vhost_user_store: {
    doc:
      "Disks that other processes serve (device nodes with the major number 241) are attached through their sockets; needs " +
      "enable_hugepages.",
    effect: "the guest's memory is shared, and `vhost-user-blk-pci` for each such disk",
  },
  vhost_user_store_path: {
    doc: "Folder with the nodes and sockets of such disks, in block/devices and block/sockets.",
    effect: "where sockets are looked for",
  },
  valid_vhost_user_store_paths: {
    doc: "Patterns of folders that the annotation of vhost_user_store_path may name.",
    effect: "which annotations are accepted",
  },
  vhost_user_reconnect_timeout_sec: {
    doc: "Delay before reconnecting to the socket of such a disk; 0 = never.",
    effect: "`reconnect` of the disk's socket",
  },
  default_bridges: {
    group: "Buses",
    doc: "PCI bridges at boot, each with 30 places for devices that are plugged in; 0 = the default.",
    effect: "`-device pci-bridge` for each",
  },
  hot_plug_vfio: {
    doc:
      "Kind of port for devices of the host that are plugged in with their containers; not together with " +
      "cold_plug_vfio.",
    effect:
      "`-device pcie-root-port`, or `x3130-upstream` and `xio3130-downstream`; whether `vfio-pci` may be plugged in",
  },
  cold_plug_vfio: {
    doc:
      "Kind of port for devices of the host that are there at boot: those of the container that the machine is made " +
      "for, and links of the pod that are devices.",
    effect: "the same ports, and `-device vfio-pci` for each device",
  },
  hotplug_vfio_on_root_bus: {
    doc: 'Old form of hot_plug_vfio = "root-port".',
    effect: "as hot_plug_vfio",
  },
  pcie_root_port: {
    doc: "Number of root ports, if there are any; at least one, and one for each device at boot.",
    effect: "`-device pcie-root-port` for each",
  },
  pcie_switch_port: {
    doc: "Number of ports of a switch, if there is one; at least one, and one for each device at boot.",
    effect: "`-device xio3130-downstream` for each",
  },
  enable_iommu: {
    doc: "Give the machine an IOMMU of its own; q35 only.",
    effect:
      "`-device intel-iommu`, `kernel-irqchip=split`, `intel_iommu=on iommu=pt` on the kernel's command line",
  },
  enable_iommu_platform: {
    doc: "Let virtio devices go through the machine's IOMMU.",
    effect: "`iommu_platform=on` of virtio devices",
  },
  disable_nesting_checks: {
    doc: "Use modern virtio devices even if the host is a virtual machine itself.",
    effect: "no `disable-modern=true` of virtio devices; counts with KVM",
  },
  disable_vhost_net: {
    group: "Network",
    doc: "Move network packets in the monitor's process instead of the host's kernel.",
    effect: "no `vhost=on` of network devices",
  },
  rx_rate_limiter_max_rate: {
    doc: "Rate limit of the traffic to the pod; 0 = no limit.",
    effect: "an htb queue on the device that gives the machine its packets",
  },
  tx_rate_limiter_max_rate: {
    doc: "Rate limit of the traffic from the pod; 0 = no limit.",
    effect: "an htb queue on the device that takes the machine's packets",
  },
} as const satisfies Readonly<Record<string, Text>>;
