/** For tests: every key of the configuration, a value of it, and what that changes. */

/** What a key changes. */
export interface Effect {
  /** As in the file. */
  readonly value: string;
  /** Lines of any table that the value needs beside it; `[hypervisor.qemu]` is open. */
  readonly with?: string;
  /** Whether those lines belong to the value, and an annotation does without. */
  readonly alone?: true;
  /** QEMU's options that come, and that go; words of the kernel's command line stand as `append: word`. */
  readonly adds?: readonly string[];
  readonly removes?: readonly string[];
  /** What of `virtiofsd`'s arguments, of the request to the agent, or of the sandbox's policy changes, as JSON. */
  readonly daemon?: readonly string[];
  readonly request?: Readonly<Record<string, unknown>>;
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly missing?: true;
  /** No value but the default can be. */
  readonly refused?: true;
  /** Where the effect is shown, if not here: a file and a part of a test's name. */
  readonly shown?: readonly [file: string, test: string];
  /** Whether it counts with KVM only. */
  readonly kvm?: boolean;
  /** A host that is a virtual machine itself. */
  readonly nested?: boolean;
  /** The value of an annotation that has the same effect, where it is not the same text. */
  readonly annotation?: string;
}

const shown = (value: string, file: string, test: string): Effect => ({ value, shown: [file, test] });

const MACHINE_PARTS = "sandbox/machine/parts_test.ts";
const ANNOTATIONS = "config/annotations_test.ts";
const LOADING = "config/load_test.ts";

/** This version refuses the value, or warns of it. */
const missing = (value: string): Effect => ({ value, missing: true });

/** The policy for a pod's network by default. */
const NETWORK = {
  model: "tcfilter",
  leavesHost: true,
  described: "",
  vhost: true,
  limits: { rx: 0, tx: 0 },
} as const;

const tracing = (value: string): Effect =>
  shown(value, "sandbox/tracing/tracer_test.ts", "a sandbox's trace");

const PROTECTION = "vm/qemu/protection_test.ts";
const protection = (value: string): Effect => shown(value, PROTECTION, "confidential guests");

/** By section and key. Files are in the folder `DIR`. */
export const EFFECTS: Readonly<Record<string, Readonly<Record<string, Effect>>>> = {
  hypervisor: {
    path: { value: '"qemu-2"', adds: ["program: DIR/qemu-2"], removes: ["program: DIR/qemu"] },
    kernel: { value: '"vmlinux-2"', adds: ["-kernel DIR/vmlinux-2"], removes: ["-kernel DIR/vmlinux"] },
    image: {
      value: '"disk"',
      with: 'initrd = ""',
      alone: true,
      adds: [
        "-object memory-backend-file,id=mem0,mem-path=DIR/disk,size=1048576,readonly=on",
        "-device nvdimm,id=nv0,memdev=mem0,unarmed=on",
        "-machine q35,memory-backend=dimm1,smm=off,vmport=off,hpet=off,sata=off,smbus=off,usb=off,nvdimm=on",
        "-m 2048M,slots=10,maxmem=5121M",
        "append: root=/dev/pmem0p1",
        "append: rootflags=dax,data=ordered,errors=remount-ro",
        "append: ro",
        "append: rootfstype=ext4",
        "append: systemd.show_status=false",
        "append: systemd.unit=kata-containers.target",
        "append: systemd.mask=systemd-networkd.service",
        "append: systemd.mask=systemd-networkd.socket",
      ],
      removes: [
        "-initrd DIR/initrd",
        "append: rootfstype=ramfs",
        "-machine q35,memory-backend=dimm1,smm=off,vmport=off,hpet=off,sata=off,smbus=off,usb=off",
        "-m 2048M,slots=10,maxmem=5120M",
      ],
    },
    initrd: { value: '"initrd-2"', adds: ["-initrd DIR/initrd-2"], removes: ["-initrd DIR/initrd"] },
    rootfs_type: {
      value: '"erofs"',
      with: 'initrd = ""\nimage = "disk"\ndisable_image_nvdimm = true',
      adds: ["append: rootfstype=erofs"],
    },
    machine_type: {
      value: '"microvm"',
      adds: [
        "-device virtio-scsi-pci,id=scsi0",
        "-machine microvm,memory-backend=dimm1,pcie=on,acpi=on,rtc=on",
        "-smp 1",
        "-m 2048M",
        "append: nr_cpus=1",
      ],
      removes: [
        "-machine q35,memory-backend=dimm1,smm=off,vmport=off,hpet=off,sata=off,smbus=off,usb=off",
        "-smp 1,cores=1,threads=1,sockets=2,maxcpus=2",
        "append: nr_cpus=2",
        "-m 2048M,slots=10,maxmem=5120M",
        "-device pci-bridge,bus=pcie.0,id=pci-bridge-0,chassis_nr=1,shpc=off,addr=2,io-reserve=4k," +
        "mem-reserve=1m,pref64-reserve=1m",
      ],
    },
    accelerator: shown('"tcg"', "vm/qemu/accelerator_test.ts", "who asks for kvm gets it"),
    machine_accelerators: {
      value: '"pit=off"',
      adds: [
        "-machine q35,memory-backend=dimm1,smm=off,vmport=off,hpet=off,sata=off,smbus=off,usb=off,pit=off",
      ],
      removes: ["-machine q35,memory-backend=dimm1,smm=off,vmport=off,hpet=off,sata=off,smbus=off,usb=off"],
    },
    cpu_features: {
      value: '"pmu=off"',
      kvm: true,
      adds: ["-cpu host,pmu=off"],
      removes: ["-cpu host"],
    },
    kernel_params: { value: '"quiet=no a=1"', adds: ["append: quiet=no", "append: a=1"] },
    firmware: { value: '"bios"', adds: ["-bios DIR/bios"] },
    firmware_volume: {
      value: '"vars"',
      with: 'firmware = "bios"',
      adds: [
        "-drive if=pflash,unit=0,format=raw,readonly=on,file=DIR/bios",
        "-drive if=pflash,unit=1,format=raw,snapshot=on,file=DIR/vars",
      ],
    },
    pflashes: { value: '["bios", "vars"]', adds: ["-pflash DIR/bios", "-pflash DIR/vars"] },
    default_vcpus: {
      value: "1.5",
      adds: ["-smp 2,cores=1,threads=1,sockets=2,maxcpus=2"],
      removes: ["-smp 1,cores=1,threads=1,sockets=2,maxcpus=2"],
    },
    default_maxvcpus: {
      value: "1",
      adds: ["-smp 1,cores=1,threads=1,sockets=1,maxcpus=1", "append: nr_cpus=1"],
      removes: ["-smp 1,cores=1,threads=1,sockets=2,maxcpus=2", "append: nr_cpus=2"],
    },
    default_memory: {
      value: "512",
      adds: ["-m 512M,slots=10,maxmem=5120M", "-object memory-backend-ram,id=dimm1,size=512M"],
      removes: ["-m 2048M,slots=10,maxmem=5120M", "-object memory-backend-ram,id=dimm1,size=2048M"],
    },
    memory_slots: {
      value: "3",
      adds: ["-m 2048M,slots=3,maxmem=5120M"],
      removes: ["-m 2048M,slots=10,maxmem=5120M"],
    },
    default_maxmemory: {
      value: "3000",
      adds: ["-m 2048M,slots=10,maxmem=4024M"],
      removes: ["-m 2048M,slots=10,maxmem=5120M"],
    },
    memory_offset: {
      value: "100",
      adds: ["-m 2048M,slots=10,maxmem=5220M"],
      removes: ["-m 2048M,slots=10,maxmem=5120M"],
    },
    enable_virtio_mem: {
      value: "true",
      adds: [
        "-object memory-backend-ram,id=virtiomem,size=2048M",
        "-device virtio-mem-pci,id=virtiomem0,memdev=virtiomem,requested-size=0",
        "append: memhp_default_state=online",
      ],
    },
    enable_mem_prealloc: {
      value: "true",
      adds: ["-object memory-backend-ram,id=dimm1,size=2048M,prealloc=on"],
      removes: ["-object memory-backend-ram,id=dimm1,size=2048M"],
    },
    enable_hugepages: {
      value: "true",
      adds: ["-object memory-backend-file,id=dimm1,size=2048M,mem-path=/dev/hugepages,share=off"],
      removes: ["-object memory-backend-ram,id=dimm1,size=2048M"],
    },
    file_mem_backend: {
      value: '"folder"',
      adds: ["-object memory-backend-file,id=dimm1,size=2048M,mem-path=DIR/folder,share=on"],
      removes: ["-object memory-backend-ram,id=dimm1,size=2048M"],
    },
    valid_file_mem_backends: shown("[]", ANNOTATIONS, "paths that a list guards"),
    reclaim_guest_freed_memory: {
      value: "true",
      adds: ["-device virtio-balloon-pci,id=balloon0,free-page-reporting=on"],
    },
    enable_guest_swap: { value: "true", policy: { guestSwap: true } },
    shared_fs: {
      value: '"none"',
      policy: { sharesFiles: false },
      adds: [],
      removes: [
        "-fsdev local,id=fsdev0,path=DIR/shared,security_model=none,multidevs=remap",
        "-device virtio-9p-pci,fsdev=fsdev0,mount_tag=kataShared",
      ],
      annotation: "virtio-fs",
    },
    virtio_fs_daemon: shown('"bin"', LOADING, "virtiofsd is the one that is set"),
    valid_virtio_fs_daemon_paths: shown("[]", ANNOTATIONS, "paths that a list guards"),
    virtio_fs_cache: { value: '"always"', with: FS(), daemon: ["--cache=always"] },
    virtio_fs_cache_size: {
      value: "64",
      with: FS(),
      adds: ["-device vhost-user-fs-pci,chardev=charfs0,tag=kataShared,queue-size=1024,cache-size=64M"],
    },
    virtio_fs_queue_size: {
      value: "512",
      with: FS(),
      adds: ["-device vhost-user-fs-pci,chardev=charfs0,tag=kataShared,queue-size=512"],
    },
    virtio_fs_extra_args: {
      value: '["--announce-submounts"]',
      with: FS(),
      daemon: ["--announce-submounts"],
    },
    msize_9p: { value: "65536", request: { storage: "msize=65536" } },
    block_device_driver: { value: '"virtio-blk"', removes: ["append: scsi_mod.scan=none"] },
    block_device_aio: shown('"threads"', MACHINE_PARTS, "disks"),
    block_device_cache_set: shown("true", MACHINE_PARTS, "disks"),
    block_device_cache_direct: shown("true", MACHINE_PARTS, "disks"),
    block_device_cache_noflush: shown("true", MACHINE_PARTS, "disks"),
    disable_block_device_use: { value: "true", policy: { useDisks: false } },
    enable_iothreads: shown("true", MACHINE_PARTS, "disks"),
    disable_image_nvdimm: {
      value: "true",
      with: 'initrd = ""\nimage = "disk"',
      adds: [
        "-drive id=image-0,file=DIR/disk,aio=threads,format=raw,if=none,readonly=on",
        "-device virtio-blk-pci,drive=image-0,config-wce=off,share-rw=on,serial=image-0",
        "append: root=/dev/vda1",
        "append: rootflags=data=ordered,errors=remount-ro",
      ],
    },
    enable_vhost_user_store: {
      value: "true",
      with: "enable_hugepages = true",
      adds: ["-object memory-backend-file,id=dimm1,size=2048M,mem-path=/dev/hugepages,share=on,prealloc=on"],
    },
    vhost_user_store_path: shown('"folder"', "sandbox/policy_test.ts", "disks that other processes serve"),
    valid_vhost_user_store_paths: shown("[]", ANNOTATIONS, "paths that a list guards"),
    vhost_user_reconnect_timeout_sec: {
      value: "7",
      with: "enable_vhost_user_store = true\nenable_hugepages = true",
      policy: { servedDisks: { folder: "/var/run/kata-containers/vhost-user", reconnectS: 7 } },
    },
    default_bridges: {
      value: "2",
      adds: [
        "-device pci-bridge,bus=pcie.0,id=pci-bridge-1,chassis_nr=2,shpc=off,addr=3,io-reserve=4k," +
        "mem-reserve=1m,pref64-reserve=1m",
      ],
    },
    hot_plug_vfio: { value: '"root-port"', adds: [PORT("rp0", 0)], removes: ["append: swiotlb=noforce"] },
    cold_plug_vfio: {
      value: '"switch-port"',
      adds: [
        PORT("sw-rp0", 0),
        "-device x3130-upstream,id=swup0,bus=sw-rp0",
        "-device xio3130-downstream,id=swdp0,bus=swup0,chassis=1,slot=0",
      ],
      removes: ["append: swiotlb=noforce"],
    },
    hotplug_vfio_on_root_bus: { value: "true", adds: [PORT("rp0", 0)], removes: ["append: swiotlb=noforce"] },
    pcie_root_port: {
      value: "2",
      with: 'hot_plug_vfio = "root-port"',
      adds: [PORT("rp1", 1)],
    },
    pcie_switch_port: {
      value: "2",
      with: 'hot_plug_vfio = "switch-port"',
      adds: ["-device xio3130-downstream,id=swdp1,bus=swup0,chassis=1,slot=1"],
    },
    enable_iommu: {
      value: "true",
      kvm: true,
      adds: [
        "-device intel-iommu,intremap=on,device-iotlb=on,caching-mode=on",
        "-accel kvm,kernel-irqchip=split",
        "append: intel_iommu=on",
        "append: iommu=pt",
      ],
      removes: ["-accel kvm", "append: swiotlb=noforce"],
    },
    enable_iommu_platform: {
      value: "true",
      adds: [
        "-device virtio-rng-pci,rng=rng0,disable-legacy=on,iommu_platform=on",
      ],
    },
    disable_nesting_checks: {
      value: "true",
      kvm: true,
      nested: true,
      adds: [
        "-device virtio-rng-pci,rng=rng0",
        "-device virtio-9p-pci,fsdev=fsdev0,mount_tag=kataShared",
      ],
      removes: [
        "-device virtio-rng-pci,rng=rng0,disable-modern=true",
        "-device virtio-9p-pci,fsdev=fsdev0,mount_tag=kataShared,disable-modern=true",
      ],
    },
    disable_vhost_net: { value: "true", policy: { network: { ...NETWORK, vhost: false } } },
    rx_rate_limiter_max_rate: { value: "1", policy: { network: { ...NETWORK, limits: { rx: 1, tx: 0 } } } },
    tx_rate_limiter_max_rate: { value: "1", policy: { network: { ...NETWORK, limits: { rx: 0, tx: 1 } } } },
    entropy_source: {
      value: '"random"',
      adds: ["-object rng-random,id=rng0,filename=DIR/random"],
      removes: ["-object rng-random,id=rng0,filename=/dev/urandom"],
    },
    valid_entropy_sources: shown("[]", ANNOTATIONS, "paths that a list guards"),
    confidential_guest: protection("true"),
    sev_snp_guest: protection("true"),
    snp_id_block: protection('"a"'),
    snp_id_auth: protection('"b"'),
    snp_guest_policy: protection("1"),
    tdx_quote_generation_service_socket_port: protection("1"),
    seccompsandbox: {
      value: '"on"',
      adds: ["-sandbox on"],
      removes: ["-sandbox on,obsolete=deny,spawn=deny,resourcecontrol=deny"],
    },
    rootless: {
      ...shown("true", "sandbox/machine/monitor_user_test.ts", "QEMU runs as a user of its own"),
      with: 'shared_fs = "none"',
    },
    disable_selinux: shown("true", "sandbox/machine/parts_test.ts", "SELinux label"),
    disable_guest_selinux: {
      value: "false",
      adds: ["append: selinux=1"],
      removes: ["append: selinux=0"],
    },
    guest_hook_path: { value: '"/usr/share/hooks"', request: { guestHookPath: "/usr/share/hooks" } },
    guest_memory_dump_path: {
      value: '"dumps"',
      adds: ["-device pvpanic", "-no-shutdown"],
    },
    guest_memory_dump_paging: shown("true", "vm/qemu/memory_dump_test.ts", "paging"),
    enable_debug: { value: "true", adds: ["append: debug"], removes: ["append: quiet"] },
    extra_monitor_socket: {
      value: '"hmp"',
      with: "enable_debug = true",
      adds: ["-monitor unix:path=DIR/extra-monitor.sock,server=on,wait=off"],
    },
    use_legacy_serial: { value: "true", adds: [], removes: [] },
    hypervisor_loglevel: missing("3"),
    enable_annotations: shown("[]", ANNOTATIONS, "needs an expression of enable_annotations"),
    hypervisor_hash: shown('""', ANNOTATIONS, "hashes of files"),
    kernel_hash: shown('""', ANNOTATIONS, "hashes of files"),
    image_hash: shown('""', ANNOTATIONS, "hashes of files"),
    initrd_hash: shown('""', ANNOTATIONS, "hashes of files"),
    firmware_hash: shown('""', ANNOTATIONS, "hashes of files"),
    firmware_volume_hash: shown('""', ANNOTATIONS, "hashes of files"),
    asset_hash_type: shown('""', ANNOTATIONS, "hashes of files"),
    valid_hypervisor_paths: shown("[]", ANNOTATIONS, "paths that a list guards"),
    cc_init_data: shown('"x"', "sandbox/machine/init_data_test.ts", "init data is a disk of the guest's"),
    remote_hypervisor_socket: missing('"/x"'),
    remote_hypervisor_timeout: missing("1"),
    default_gpus: missing("1"),
    default_gpu_model: missing('"x"'),
  },
  runtime: {
    enable_debug: shown("true", "cmd/shim/log_fifo_test.ts", "debug lines are for those"),
    internetworking_model: { value: '"macvtap"', policy: { network: { ...NETWORK, model: "macvtap" } } },
    disable_new_netns: {
      value: "true",
      with: '[runtime]\ninternetworking_model = "none"',
      policy: { network: { ...NETWORK, model: "none", leavesHost: false } },
    },
    dan_conf: { value: '"/x"', policy: { network: { ...NETWORK, described: "/x" } } },
    disable_guest_seccomp: { value: "true", policy: { disableSeccomp: true } },
    sandbox_cgroup_only: shown("true", "sandbox/cgroups/cgroups_test.ts", "its processes are born there"),
    static_sandbox_resource_mgmt: {
      value: "true",
      adds: ["-smp 1,cores=1,threads=1,sockets=1,maxcpus=1", "append: nr_cpus=1", "-m 2048M"],
      removes: [
        "-smp 1,cores=1,threads=1,sockets=2,maxcpus=2",
        "append: nr_cpus=2",
        "-m 2048M,slots=10,maxmem=5120M",
      ],
    },
    enable_vcpus_pinning: { value: "true", policy: { pinVcpus: true } },
    sandbox_bind_mounts: shown("[]", "fs/share_test.ts", "what a sandbox shares with all"),
    vfio_mode: {
      value: '"vfio"',
      policy: { hostDevices: { asVfio: true, atBoot: false, later: false } },
    },
    disable_guest_empty_dir: { value: "true", policy: { guestEmptyDirs: false } },
    guest_selinux_label: shown('"a:b:c"', "sandbox/guest/spec_test.ts", "SELinux label"),
    create_container_timeout: { value: "7", policy: { createTimeoutMs: 7000 } },
    experimental_force_guest_pull: missing("true"),
    experimental: { ...shown('["x"]', "config/rules_test.ts", "exclude, need or undo"), refused: true },
    enable_tracing: tracing("true"),
    jaeger_endpoint: tracing('"http://x"'),
    jaeger_user: tracing('"x"'),
    jaeger_password: tracing('"x"'),
    enable_pprof: { value: "true", policy: { profiling: true } },
  },
  agent: {
    enable_debug: { value: "true", adds: ["append: agent.log=debug"] },
    enable_tracing: { value: "true", adds: ["append: agent.trace=true"] },
    kernel_modules: {
      value: '["e1000e Rx=1,2"]',
      request: { kernelModules: [{ name: "e1000e", parameters: ["Rx=1,2"] }] },
    },
    debug_console_enabled: {
      value: "true",
      adds: ["append: agent.debug_console", "append: agent.debug_console_vport=1026"],
    },
    dial_timeout: { value: "7", policy: { dialTimeoutMs: 7000 } },
    cdh_api_timeout: { value: "7", adds: ["append: agent.cdh_api_timeout=7"] },
    container_pipe_size: {
      value: "4096",
      adds: ["append: agent.container_pipe_size=4096"],
      removes: ["append: agent.container_pipe_size=1048576"],
    },
    policy: shown('"YQ=="', "sandbox/guest/agent_policy_test.ts", "a policy is given to the agent first"),
  },
  factory: {
    enable_template: missing("true"),
    template_path: missing('"/x"'),
    vm_cache_number: missing("1"),
    vm_cache_endpoint: missing('"/x"'),
  },
};

function FS(): string {
  return 'shared_fs = "virtio-fs"\nvirtio_fs_daemon = "bin"';
}

function PORT(id: string, slot: number): string {
  return `-device pcie-root-port,id=${id},bus=pcie.0,chassis=0,slot=${slot},multifunction=off,` +
    "pref64-reserve=2048M,mem-reserve=4M";
}
