/** Keys that exclude each other, require each other, or have no effect together. */

import { arch } from "./host.ts";
import { defaultOf, shownValue } from "./key.ts";
import { RUNTIME } from "./schema/runtime.ts";
import { bad, badIn, doubt, type Rules } from "./rule.ts";
import { exists } from "../sys/exists.ts";

/** Of the guest's memory, and of how it is shared. */
export function rulesOfMemory(rules: Rules): void {
  const { hypervisor } = rules.config;
  if (hypervisor.enable_vhost_user_store && !hypervisor.enable_hugepages) {
    bad(
      rules,
      "enable_vhost_user_store",
      "needs enable_hugepages = true, as such devices share the guest's memory",
    );
  }
  if (hypervisor.enable_hugepages && hypervisor.file_mem_backend !== "") {
    doubt(rules, "file_mem_backend", "has no effect: enable_hugepages takes the memory from huge pages");
  }
  if (hypervisor.enable_virtio_mem && hypervisor.machine_type === "microvm") {
    bad(rules, "enable_virtio_mem", 'must be false with machine_type "microvm", which cannot grow');
  }
  if (hypervisor.rootless && hypervisor.shared_fs === "virtio-9p") {
    bad(rules, "rootless", 'needs another shared_fs than "virtio-9p", with which QEMU reads files as itself');
  }
  if (hypervisor.virtio_fs_cache_size > 0 && ["never", "metadata"].includes(hypervisor.virtio_fs_cache)) {
    doubt(rules, "virtio_fs_cache_size", `has no effect: virtio_fs_cache is "${hypervisor.virtio_fs_cache}"`);
  }
}

/** Of disks, buses, the IOMMU and confidential guests. */
export function rulesOfDevices(rules: Rules): void {
  rulesOfBlockDevices(rules);
  rulesOfBuses(rules);
  rulesOfConfidentialGuests(rules);
  const { hypervisor } = rules.config;
  if (hypervisor.firmware_volume !== "" && hypervisor.firmware === "") {
    bad(rules, "firmware_volume", "needs firmware, whose variables it holds");
  }
  if (hypervisor.extra_monitor_socket !== "" && !hypervisor.enable_debug) {
    doubt(rules, "extra_monitor_socket", "has no effect: enable_debug is false");
  }
  if (hypervisor.guest_memory_dump_paging && hypervisor.guest_memory_dump_path === "") {
    doubt(rules, "guest_memory_dump_paging", "has no effect: guest_memory_dump_path is not set");
  }
}

function rulesOfBlockDevices(rules: Rules): void {
  const { hypervisor } = rules.config;
  const driver = hypervisor.block_device_driver;
  if (driver === "virtio-blk-ccw") {
    bad(rules, "block_device_driver", "must be another driver: this one is for s390x alone");
  }
  if (hypervisor.disable_block_device_use && hypervisor.shared_fs === "none") {
    bad(
      rules,
      "disable_block_device_use",
      'must be false with shared_fs "none": roots of containers are disks then',
    );
  }
  if (hypervisor.enable_iothreads && driver !== "virtio-scsi") {
    doubt(rules, "enable_iothreads", `has no effect: block_device_driver is "${driver}", not "virtio-scsi"`);
  }
  for (const key of ["block_device_cache_direct", "block_device_cache_noflush"] as const) {
    if (hypervisor[key] && !hypervisor.block_device_cache_set) {
      doubt(rules, key, "has no effect: block_device_cache_set is false");
    }
  }
}

function rulesOfBuses(rules: Rules): void {
  const { hypervisor } = rules.config;
  if (hypervisor.hotplug_vfio_on_root_bus && hypervisor.hot_plug_vfio === "no-port") {
    hypervisor.hot_plug_vfio = "root-port";
  }
  const { hot_plug_vfio: hot, cold_plug_vfio: cold } = hypervisor;
  if (hot !== "no-port" && cold !== "no-port") {
    bad(rules, "cold_plug_vfio", `cannot be set together with hot_plug_vfio, which is "${hot}"`);
  }
  if (hypervisor.machine_type === "microvm") {
    for (const key of ["hot_plug_vfio", "cold_plug_vfio"] as const) {
      if (hypervisor[key] !== "no-port") bad(rules, key, 'must be "no-port" with machine_type "microvm"');
    }
  }
  if (hypervisor.pcie_root_port > 0 && hot !== "root-port" && cold !== "root-port") {
    doubt(rules, "pcie_root_port", 'has no effect: neither hot_plug_vfio nor cold_plug_vfio is "root-port"');
  }
  if (hypervisor.pcie_switch_port > 0 && hot !== "switch-port" && cold !== "switch-port") {
    doubt(
      rules,
      "pcie_switch_port",
      'has no effect: neither hot_plug_vfio nor cold_plug_vfio is "switch-port"',
    );
  }
  if (hypervisor.enable_iommu && hypervisor.machine_type !== "q35") {
    bad(rules, "enable_iommu", `needs machine_type = "q35", which is "${hypervisor.machine_type}"`);
  }
}

function rulesOfConfidentialGuests(rules: Rules): void {
  const { hypervisor } = rules.config;
  if (hypervisor.confidential_guest && arch === "aarch64") {
    bad(rules, "confidential_guest", "must be false on this architecture");
  }
  if (hypervisor.sev_snp_guest && !hypervisor.confidential_guest) {
    doubt(rules, "sev_snp_guest", "has no effect: confidential_guest is false");
  }
  if ((hypervisor.snp_id_block === "") !== (hypervisor.snp_id_auth === "")) {
    const [given, other] = hypervisor.snp_id_auth === ""
      ? ["snp_id_block", "snp_id_auth"] as const
      : ["snp_id_auth", "snp_id_block"] as const;
    bad(rules, given, `needs ${other}, which is not set`);
  }
}

/** What machines that are cloned, or kept waiting, cannot have. */
export function rulesOfTemplates(rules: Rules): void {
  const { hypervisor, factory } = rules.config;
  const kinds = [
    factory.enable_template ? "enable_template" as const : undefined,
    factory.vm_cache_number > 0 ? "vm_cache_number" as const : undefined,
  ].filter((kind) => kind !== undefined);
  const refuse = (key: string, problem: string) => badIn(rules, "factory", key, problem);
  if (kinds.length > 1) refuse("vm_cache_number", "cannot be set together with enable_template");
  for (const kind of kinds) {
    if (hypervisor.shared_fs === "virtio-fs" || hypervisor.shared_fs === "virtio-fs-nydus") {
      refuse(kind, `needs shared_fs = "virtio-9p" or "none", which is "${hypervisor.shared_fs}"`);
    }
  }
  if (!factory.enable_template) return;
  if (hypervisor.initrd === "" && !rules.settings.isBroken("hypervisor", "initrd")) {
    refuse("enable_template", "needs an initrd: a machine with an image cannot be cloned");
  }
  if (hypervisor.file_mem_backend !== "") {
    refuse(
      "enable_template",
      "cannot be set together with file_mem_backend: clones share the template's memory",
    );
  }
  if (hypervisor.confidential_guest) {
    refuse("enable_template", "cannot be set together with confidential_guest, whose memory cannot be read");
  }
}

/** Of `[runtime]`. */
export function rulesOfRuntime(rules: Rules): void {
  const { hypervisor, runtime } = rules.config;
  if (runtime.disable_new_netns && runtime.internetworking_model !== "none") {
    const problem = `needs internetworking_model = "none", which is "${runtime.internetworking_model}"`;
    badIn(rules, "runtime", "disable_new_netns", problem);
  }
  rulesOfTracing(rules);
  if (runtime.guest_selinux_label !== "" && hypervisor.disable_guest_selinux) {
    badIn(rules, "runtime", "guest_selinux_label", "needs disable_guest_selinux = false, which is true");
  }
  if (runtime.vfio_mode === "vfio" && !hypervisor.enable_iommu) {
    const { settings, report } = rules;
    const problem = "needs enable_iommu = true: without an IOMMU the guest has no VFIO devices";
    report.doubtful(settings.origin("runtime", "vfio_mode"), runtime.vfio_mode, problem);
  }
  const names = new Map<string, string>();
  for (const path of runtime.sandbox_bind_mounts) {
    const name = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
    const other = names.get(name);
    if (other !== undefined) {
      const problem =
        `must have different names at the ends of its paths: "${other}" and "${path}" have the same`;
      badIn(rules, "runtime", "sandbox_bind_mounts", problem);
    } else if (!exists(path)) {
      badIn(
        rules,
        "runtime",
        "sandbox_bind_mounts",
        `must name files and folders that exist: "${path}" does not`,
      );
    }
    names.set(name, path);
  }
}

function rulesOfTracing({ config: { runtime }, settings, report }: Rules): void {
  const doubtful = (key: "jaeger_endpoint" | "jaeger_user" | "jaeger_password", problem: string) => {
    if (runtime[key] === defaultOf(RUNTIME[key])) return;
    report.doubtful(settings.origin("runtime", key), shownValue(RUNTIME[key], runtime[key]), problem);
  };
  if (!runtime.enable_tracing) {
    for (const key of ["jaeger_endpoint", "jaeger_user", "jaeger_password"] as const) {
      doubtful(key, "has no effect: enable_tracing is false");
    }
  } else if (runtime.jaeger_user === "") doubtful("jaeger_password", "has no effect: jaeger_user is not set");
}
