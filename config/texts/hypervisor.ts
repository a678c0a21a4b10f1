/** Of `[hypervisor.qemu]`: all of it; here security, debugging, and what annotations may do. */

import type { HYPERVISOR } from "../schema/hypervisor.ts";
import { DEVICE_TEXTS } from "./devices.ts";
import { MACHINE_TEXTS } from "./machine.ts";
import type { Text, Texts } from "./text.ts";

const hashOf = (what: string): Text => ({
  doc: `SHA-512, in hexadecimal digits, that the file of ${what} must have.`,
  effect: "the sandbox is not made from another file",
});

export const HYPERVISOR_TEXTS: Texts<typeof HYPERVISOR> = {
  ...MACHINE_TEXTS,
  ...DEVICE_TEXTS,
  entropy_source: {
    group: "Security",
    doc: "The host's source of the guest's random numbers.",
    effect: "`-object rng-random`",
  },
  valid_entropy_sources: {
    doc: "Patterns of files that the annotation of entropy_source may name.",
    effect: "which annotations are accepted",
    shipped: '["/dev/urandom", "/dev/random"]',
  },
  confidential_guest: {
    doc:
      "Encrypt the guest's memory, by what the host has: TDX, or SEV (SEV-SNP with sev_snp_guest). Refused where " +
      "it has neither. Such a machine does not grow, and has its image as a disk.",
    effect: "`-object tdx-guest`, `sev-snp-guest` or `sev-guest`, `-machine …,confidential-guest-support=`",
  },
  sev_snp_guest: {
    doc: "Use SEV-SNP instead of plain SEV.",
    effect: "`-object sev-snp-guest`",
  },
  snp_id_block: {
    doc: "The guest's identity block for SEV-SNP, in base64; needs snp_id_auth.",
    effect: "`id-block=` of `sev-snp-guest`",
  },
  snp_id_auth: {
    doc: "Authentication data of the identity block, in base64; needs snp_id_block.",
    effect: "`id-auth=` of `sev-snp-guest`",
  },
  snp_guest_policy: {
    doc: "The guest policy for SEV-SNP, as a bit mask.",
    effect: "`policy=` of `sev-snp-guest`",
  },
  tdx_quote_generation_service_socket_port: {
    doc: "Vsock port of the host's quote generation service; 0 = the default.",
    effect: "`quote-generation-socket` of `tdx-guest`",
  },
  seccompsandbox: {
    doc: "QEMU's own system call filter, as for its -sandbox option; empty = none.",
    effect: "`-sandbox`",
  },
  rootless: {
    doc:
      "Run QEMU as a user of its own: a number that nobody else has, in the group that may use KVM. Its files " +
      "must be readable for everyone. Not with virtio-9p.",
    effect: "user and groups of QEMU's process",
  },
  disable_selinux: {
    doc: "Do not give QEMU's process the container's SELinux label.",
    effect: "label of QEMU's process, on a host with SELinux",
  },
  disable_guest_selinux: {
    doc: "Disable SELinux in the guest: its kernel boots without it, and containers have no labels there.",
    effect:
      "`selinux=0` or `1` on the kernel's command line; with `1` virtiofsd's `--xattr`, and labels of " +
      "containers in the guest",
  },
  guest_hook_path: {
    doc:
      "Folder in the guest with the folders prestart, poststart and poststop, whose executables are run as hooks.",
    effect: "the agent's request to make the sandbox",
    example: '"/usr/share/oci/hooks"',
  },
  guest_memory_dump_path: {
    group: "Debugging",
    doc:
      "Folder for memory dumps of guests whose kernel panicked, each in a subfolder named after the sandbox; " +
      "empty = nowhere. There must be room for twice the memory.",
    effect:
      "`-device pvpanic`, `-no-shutdown`; files `vmcore-….elf`, `hypervisor.conf` and `hypervisor.version`",
    example: '"/var/crash/kata"',
  },
  guest_memory_dump_paging: {
    doc: "Translate the dump by the guest's page tables, which some debuggers need.",
    effect: "how the memory is written",
  },
  enable_debug: {
    doc: "Make the guest's kernel print its boot and debug messages.",
    effect: "`debug` instead of `quiet` on the kernel's command line",
  },
  extra_monitor_socket: {
    doc: "An extra QEMU monitor for debugging; needs enable_debug.",
    effect: "`extra-monitor.sock` in the machine's run folder",
  },
  use_legacy_serial: {
    doc: "The guest's console is a serial port.",
    effect: "none: the console always is one, as every kernel can use it from its first line on",
  },
  hypervisor_loglevel: {
    doc: "Log level of other hypervisors; 0 = the default.",
    effect: "none with QEMU",
  },
  enable_annotations: {
    group: "What annotations may do",
    doc:
      "Regular expressions; annotations of the hypervisor whose names, without the prefix, one of them matches " +
      "anywhere are accepted.",
    effect: "which annotations are accepted",
    shipped: '["enable_iommu", "virtio_fs_extra_args", "kernel_params"]',
  },
  hypervisor_hash: hashOf("path"),
  kernel_hash: hashOf("kernel"),
  image_hash: hashOf("image"),
  initrd_hash: hashOf("initrd"),
  firmware_hash: hashOf("firmware"),
  firmware_volume_hash: hashOf("firmware_volume"),
  asset_hash_type: {
    doc: "Kind of the hashes.",
    effect: "none: there is one kind",
  },
  valid_hypervisor_paths: {
    doc: "Patterns of files that the annotation of path may name.",
    effect: "which annotations are accepted",
  },
  cc_init_data: {
    doc:
      "Init data of a guest: base64 of a TOML document, compressed by gzip, with an algorithm (sha256, sha384 or sha512) and " +
      "a table [data] of files for the components of a guest that attests itself, which have to be in it.",
    effect:
      "a read-only disk that begins with `initdata`; in `mrconfigid` of `tdx-guest`, or `host-data` of `sev-snp-guest`, the " +
      "document's digest",
  },
  remote_hypervisor_socket: {
    group: "Of other hypervisors",
    doc: 'Socket of the hypervisor "remote".',
    effect: "none with QEMU",
  },
  remote_hypervisor_timeout: {
    doc: 'Time limit of the hypervisor "remote"; 0 = the default.',
    effect: "none with QEMU",
  },
  default_gpus: {
    doc: 'Graphics processors of the hypervisor "remote".',
    effect: "none with QEMU",
  },
  default_gpu_model: {
    doc: 'Their model, of the hypervisor "remote".',
    effect: "none with QEMU",
  },
};
