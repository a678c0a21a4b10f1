import assert from "node:assert/strict";
import { examineConfig } from "./load.ts";
import { inFolder, MINIMAL } from "./test_files.ts";

/** What is wrong with MINIMAL and more lines, without the place. */
async function mistakes(text: string): Promise<string[]> {
  let found: string[] = [];
  await inFolder({ "configuration.toml": MINIMAL + text, disk: "x", bios: "x" }, async (dir) => {
    const { report } = await examineConfig({ explicit: `${dir}/configuration.toml`, env: {} });
    found = report.mistakes.map((mistake) =>
      `${mistake.severity}: ${mistake.text.replaceAll(dir, "DIR").replace(/^\S+: (hypervisor.qemu\.)?/, "")}`
    );
  });
  return found;
}

/** Lines of the file, and the beginning of what is said. */
const CASES: readonly (readonly [string, string])[] = [
  ['image = "disk"', 'error: image = "DIR/disk": cannot be set together with initrd "DIR/initrd"'],
  ["enable_vhost_user_store = true", "error: enable_vhost_user_store = true: needs enable_hugepages = true"],
  [
    'machine_type = "microvm"\nenable_virtio_mem = true',
    "error: enable_virtio_mem = true: must be false with",
  ],
  ['machine_type = "microvm"\nenable_iommu = true', 'error: enable_iommu = true: needs machine_type = "q35"'],
  [
    'machine_type = "microvm"\nhot_plug_vfio = "root-port"',
    'error: hot_plug_vfio = "root-port": must be "no-port"',
  ],
  [
    'hot_plug_vfio = "root-port"\ncold_plug_vfio = "bridge-port"',
    'error: cold_plug_vfio = "bridge-port": cannot be set together with hot_plug_vfio, which is "root-port"',
  ],
  ['firmware_volume = "bios"', 'error: firmware_volume = "DIR/bios": needs firmware'],
  [
    'block_device_driver = "virtio-blk-ccw"',
    'error: block_device_driver = "virtio-blk-ccw": must be another',
  ],
  [
    'block_device_driver = "virtio_scsi"',
    'error: block_device_driver = "virtio_scsi": must be "virtio-scsi", ',
  ],
  ['snp_id_block = "YQ=="', 'error: snp_id_block = "YQ==": needs snp_id_auth, which is not set'],
  ['snp_id_auth = "YQ=="', 'error: snp_id_auth = "YQ==": needs snp_id_block, which is not set'],
  ['file_mem_backend = "disk"', 'error: file_mem_backend = "DIR/disk": must be an existing folder'],
  ['pflashes = ["bios", "none"]', 'error: pflashes = "DIR/none": must be an existing file'],
  ["rootless = true", "error: rootless = true: needs another shared_fs"],
  ['shared_fs = "nfs"', "error: no valid TOML: trying to redefine an already defined"],
  ['kernel_params = "a =b"', 'error: kernel_params = "a =b": must not have a parameter without a name: "=b"'],
  ['kernel_params = "a\\u0000b"', 'error: kernel_params = "a\\u0000b": must not have control characters'],
  ["default_bridges = 9", "warning: default_bridges = 9: counts as 5, which is the most there can be"],
  [
    '[runtime]\nvfio_mode = "vfio"',
    'warning: runtime.vfio_mode = "vfio": needs enable_iommu = true: without an IOMMU',
  ],
  ["pcie_root_port = 2", "warning: pcie_root_port = 2: has no effect: neither hot_plug_vfio nor"],
  ["pcie_switch_port = 2", "warning: pcie_switch_port = 2: has no effect: neither hot_plug_vfio nor"],
  ['block_device_driver = "nvdimm"', 'warning: block_device_driver = "nvdimm": counts as "virtio-blk": '],
  [
    'block_device_driver = "virtio-mmio"',
    'warning: block_device_driver = "virtio-mmio": counts as "virtio-blk"',
  ],
  [
    '[runtime]\njaeger_password = "secret"',
    'warning: runtime.jaeger_password = "***": has no effect: enable_tracing is false',
  ],
  [
    "[runtime]\njaeger_password = 1234",
    'error: runtime.jaeger_password = "***": must be a string, not an integer',
  ],
  [
    'block_device_driver = "virtio-blk"\nenable_iothreads = true',
    "warning: enable_iothreads = true: has no effect",
  ],
  [
    'extra_monitor_socket = "hmp"',
    'warning: extra_monitor_socket = "hmp": has no effect: enable_debug is false',
  ],
  ["guest_memory_dump_paging = true", "warning: guest_memory_dump_paging = true: has no effect"],
  ["sev_snp_guest = true", "warning: sev_snp_guest = true: has no effect: confidential_guest is false"],
  [
    'virtio_fs_cache = "never"\nvirtio_fs_cache_size = 64',
    "warning: virtio_fs_cache_size = 64: has no effect",
  ],
  [
    "[factory]\nenable_template = true\nvm_cache_number = 2",
    "error: factory.vm_cache_number = 2: cannot be set together",
  ],
  [
    'file_mem_backend = "/tmp"\n[factory]\nenable_template = true',
    "error: factory.enable_template = true: cannot be set together with file_mem_backend",
  ],
  [
    "confidential_guest = true\n[factory]\nenable_template = true",
    "error: factory.enable_template = true: cannot",
  ],
  ['[runtime]\nexperimental = ["x"]', 'error: runtime.experimental = ["x"]: must be empty'],
  [
    '[runtime]\nguest_selinux_label = "a:b:c"',
    'error: runtime.guest_selinux_label = "a:b:c": needs disable_guest',
  ],
  ['[runtime]\nsandbox_bind_mounts = ["/no/where"]', "error: runtime.sandbox_bind_mounts = "],
  ['[runtime]\nsandbox_bind_mounts = ["/etc", "/usr/etc"]', "error: runtime.sandbox_bind_mounts = "],
];

Deno.test("keys that exclude, need or undo each other are reported, each with its value", async (t) => {
  for (const [text, beginning] of CASES) {
    await t.step(text.replaceAll("\n", "; "), async () => {
      const found = await mistakes(text);
      assert.ok(found.some((sentence) => sentence.startsWith(beginning)), found.join("\n"));
    });
  }
});

Deno.test("a guest without a shared folder needs disks", async () => {
  const text = MINIMAL.replace('"virtio-9p"', '"none"\ndisable_block_device_use = true');
  await inFolder({ "configuration.toml": text }, async (dir) => {
    const { report } = await examineConfig({ explicit: `${dir}/configuration.toml`, env: {} });
    assert.deepEqual(report.errors.map((error) => error.problem), [
      'must be false with shared_fs "none": roots of containers are disks then',
    ]);
  });
});

Deno.test("templates and waiting machines go with files that are shared by 9p, or not at all, and with an initrd", async () => {
  const shared = MINIMAL.replace('"virtio-9p"', '"virtio-fs"\nvirtio_fs_daemon = "bios"');
  const image = MINIMAL.replace("initrd =", "image =");
  for (
    const [base, line, problem] of [
      [shared, "enable_template = true", 'needs shared_fs = "virtio-9p" or "none", which is "virtio-fs"'],
      [shared, "vm_cache_number = 1", 'needs shared_fs = "virtio-9p" or "none", which is "virtio-fs"'],
      [image, "enable_template = true", "needs an initrd: a machine with an image cannot be cloned"],
    ] as const
  ) {
    await inFolder({ "configuration.toml": `${base}[factory]\n${line}\n`, bios: "x" }, async (dir) => {
      const { report } = await examineConfig({ explicit: `${dir}/configuration.toml`, env: {} });
      assert.deepEqual(report.errors.map((error) => error.problem), [problem]);
    });
  }
});

Deno.test("all mistakes of a file are reported at once, with lines and near spellings", async () => {
  const text = `[hypervisor.qemu]
path = "qemu"
kernel = 5
initrd = "initrd"
default_memroy = 512
shared_fs = "virtio_9p"
this is no TOML
default_memory = 10
[runtme]
x = 1
[agent.kata]
dial_timeout = "x"
neither = is this
enable_debug = 1
`;
  await inFolder(
    { "configuration.toml": text, "config.d/a": "[runtime]\nenable_debug = 7\n" },
    async (dir) => {
      const { report } = await examineConfig({ explicit: `${dir}/configuration.toml`, env: {} });
      const told = report.mistakes.map(({ line, key, near, severity }) => [line, key, near, severity]);
      assert.deepEqual(told, [
        [7, undefined, undefined, "error"],
        [13, undefined, undefined, "error"],
        [9, "runtme", "runtime", "warning"],
        [3, "hypervisor.qemu.kernel", undefined, "error"],
        [5, "hypervisor.qemu.default_memroy", "default_memory", "warning"],
        [6, "hypervisor.qemu.shared_fs", "virtio-9p", "error"],
        [8, "hypervisor.qemu.default_memory", undefined, "error"],
        [2, "runtime.enable_debug", undefined, "error"],
        [12, "agent.kata.dial_timeout", undefined, "error"],
        [14, "agent.kata.enable_debug", undefined, "error"],
      ]);
    },
  );
});
