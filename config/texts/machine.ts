/** Of `[hypervisor.qemu]`: programs, guest, processors, memory. */

import type { Text } from "./text.ts";

export const MACHINE_TEXTS = {
  path: {
    group: "The program and the guest",
    doc: "The virtual machine monitor's program; empty = the distribution's QEMU for this machine.",
    effect: "the program that is started",
    example: '"/usr/bin/qemu-system-x86_64"',
  },
  kernel: {
    doc: "The guest's kernel: an uncompressed ELF file (vmlinux) or a bootable image.",
    effect: "`-kernel`",
    shipped: '"/usr/share/kata-containers/vmlinux"',
  },
  image: {
    doc:
      "The guest's root disk; exactly one of initrd and image is set, and an annotation of either replaces both.",
    effect:
      "a read-only NVDIMM device, or with disable_image_nvdimm a virtio disk; `root=`, `rootflags=` and " +
      "`systemd.…` on the kernel's command line",
    example: '"/usr/share/kata-containers/kata.img"',
  },
  initrd: {
    doc: "The guest's initial file system, as an archive; it is unpacked into the guest's memory.",
    effect: "`-initrd`",
    shipped: '"/usr/share/kata-containers/kata-initrd.img"',
  },
  rootfs_type: {
    doc: "The file system on the first partition of the image.",
    effect: "`rootfstype=` and `rootflags=` on the kernel's command line",
  },
  machine_type: {
    doc:
      "The machine that is emulated: q35 or microvm on x86-64, virt on arm64. Nothing can be plugged into a microvm, and " +
      "it wants KVM: on software emulation its kernel has no clock to trust, and may not start on a busy host.",
    effect: "`-machine`",
    default: '"q35"',
  },
  accelerator: {
    doc: "How guest code runs: kvm = in hardware, tcg = in software, auto = kvm where it works, else tcg.",
    effect: "`-accel`, `-cpu`",
  },
  machine_accelerators: {
    doc: "Further properties of the machine, separated by commas.",
    effect: "appended to `-machine`",
    example: '"pit=off"',
  },
  cpu_features: {
    doc: "CPU features to add or remove, separated by commas.",
    effect: "appended to `-cpu`",
    example: '"pmu=off"',
  },
  kernel_params: {
    doc:
      "Parameters appended to the guest kernel's command line, so that they take precedence. White space inside " +
      "double quotes does not separate them. An annotation adds to them.",
    effect: "`-append`",
    example: '"loglevel=4"',
  },
  firmware: {
    doc: "A firmware file for the machine; empty = its own.",
    effect: "`-bios`; with firmware_volume a read-only `-drive if=pflash`",
  },
  firmware_volume: {
    doc: "Variables of a UEFI firmware; each machine starts from what is in the file, and changes a copy.",
    effect: "a second `-drive if=pflash`",
  },
  pflashes: {
    doc: "Files of parallel flash devices, in order. On arm64 none, or two: firmware and its variables.",
    effect: "`-pflash` for each",
  },
  default_vcpus: {
    group: "Processors and memory",
    doc:
      "CPUs at boot, before containers ask for more; 0 = 1, a negative number or more than the host has = as many " +
      "as the host has. Fractions count for what containers add, and are rounded up.",
    effect: "`-smp`",
  },
  default_maxvcpus: {
    doc: "Most CPUs that the machine can have; 0 = as many as the host has.",
    effect: "`-smp …,maxcpus=`, `nr_cpus=` on the kernel's command line",
  },
  default_memory: {
    doc: "Memory at boot, before containers ask for more; 0 = the default.",
    effect: "`-m`, and the size of the memory's backend",
  },
  memory_slots: {
    doc: "How many memory modules can be plugged in; 0 = the default.",
    effect: "`-m …,slots=`",
  },
  default_maxmemory: {
    doc: "Most memory that the machine can grow to; 0 or more than the host has = as much as the host has.",
    effect: "`-m …,maxmem=`",
  },
  memory_offset: {
    doc: "Address space beyond default_maxmemory, for block devices that are mapped as memory.",
    effect: "`-m …,maxmem=`",
  },
  enable_virtio_mem: {
    doc:
      "Add and remove memory in small blocks with one virtio-mem device instead of memory modules. The host must let memory be " +
      "overcommitted (vm.overcommit_memory = 1).",
    effect: "`-device virtio-mem-pci`, `memhp_default_state=online` on the kernel's command line",
  },
  enable_mem_prealloc: {
    doc: "Allocate all of the guest's memory at start.",
    effect: "`prealloc=on` of the memory's backend",
  },
  enable_hugepages: {
    doc:
      "Take the guest's memory from huge pages, which the host must have reserved. Where other processes share it, " +
      "all of it is taken at the start.",
    effect: "a memory backend in `/dev/hugepages`",
  },
  file_mem_backend: {
    doc:
      "A folder for files that back the guest's memory; empty = anonymous shared memory where sharing is needed.",
    effect: "`memory-backend-file` with `mem-path=`, `share=on`",
    example: '"/dev/shm"',
  },
  valid_file_mem_backends: {
    doc: "Patterns of folders that the annotation of file_mem_backend may name.",
    effect: "which annotations are accepted",
  },
  reclaim_guest_freed_memory: {
    doc: "Return pages that the guest has freed to the host.",
    effect: "`-device virtio-balloon-pci` with `free-page-reporting=on`",
  },
  enable_guest_swap: {
    doc: "Give the guest swap space for containers with a swappiness; not with static_sandbox_resource_mgmt.",
    effect: "files `swap<N>` of the sandbox, as disks that the guest swaps to",
  },
} as const satisfies Readonly<Record<string, Text>>;
