import assert from "node:assert/strict";
import { join } from "node:path";
import { examineConfig } from "./load.ts";
import { failure, inFolder, load, MINIMAL } from "./test_files.ts";

const HYPERVISOR = "io.katacontainers.config.hypervisor.";
const RUNTIME = "io.katacontainers.config.runtime.";
const AGENT = "io.katacontainers.config.agent.";

const ALL = { "configuration.toml": `${MINIMAL}enable_annotations = [".*"]\n` };

Deno.test("annotations win over the file", async () => {
  await inFolder({ ...ALL, "config.d/a": "[hypervisor.qemu]\ndefault_memory = 300" }, async (dir) => {
    const { config, warnings } = await load(dir, {
      annotations: {
        [`${HYPERVISOR}default_memory`]: "512",
        [`${HYPERVISOR}default_vcpus`]: "1.5",
        [`${HYPERVISOR}machine_accelerators`]: "x",
        [`${HYPERVISOR}disable_vhost_net`]: "T",
        [`${RUNTIME}sandbox_cgroup_only`]: "true",
        [`${RUNTIME}create_container_timeout`]: "5",
        [`${AGENT}kernel_modules`]: "e1000e Rx=1; dm ;",
        [`${AGENT}container_pipe_size`]: "4096",
        "io.katacontainers.other": "x",
        "io.kubernetes.cri.container-type": "sandbox",
      },
    });
    const { hypervisor, runtime, agent } = config;
    assert.equal(hypervisor.default_memory, 512);
    assert.equal(hypervisor.default_vcpus, 1.5);
    assert.equal(hypervisor.machine_accelerators, "x");
    assert.equal(hypervisor.disable_vhost_net, true);
    assert.equal(runtime.sandbox_cgroup_only, true);
    assert.equal(runtime.create_container_timeout, 5);
    assert.deepEqual(agent.kernel_modules, ["e1000e Rx=1", "dm"]);
    assert.equal(agent.container_pipe_size, 4096);
    assert.deepEqual(warnings, []);
  });
});

Deno.test("parameters of the kernel and of the daemon are added to those of the file", async () => {
  const text = `${ALL["configuration.toml"]}kernel_params = "a=1"\nvirtio_fs_extra_args = ["-x"]\n`;
  await inFolder({ "configuration.toml": text }, async (dir) => {
    const { hypervisor } = (await load(dir, {
      annotations: {
        [`${HYPERVISOR}kernel_params`]: "b=2 c",
        [`${HYPERVISOR}virtio_fs_extra_args`]: '["-o", "y,z"]',
      },
    })).config;
    assert.equal(hypervisor.kernel_params, "a=1 b=2 c");
    assert.deepEqual(hypervisor.virtio_fs_extra_args, ["-x", "-o", "y,z"]);
  });
});

Deno.test("an annotation of the hypervisor needs an expression of enable_annotations", async () => {
  const text = `${MINIMAL}enable_annotations = ["memory", "^kernel$"]\n`;
  await inFolder({ "configuration.toml": text }, async (dir) => {
    const { config } = await load(dir, { annotations: { [`${HYPERVISOR}default_memory`]: "512" } });
    assert.equal(config.hypervisor.default_memory, 512);
    assert.equal(
      await failure(dir, { annotations: { [`${HYPERVISOR}kernel_params`]: "x" } }),
      `annotation "${HYPERVISOR}kernel_params" is not enabled: no expression of enable_annotations matches it`,
    );
    assert.equal(
      await failure(dir, {
        annotations: { [`${HYPERVISOR}default_memory`]: "junk", [`${HYPERVISOR}unknown`]: "x" },
      }),
      `annotation "${HYPERVISOR}unknown" is not enabled: no expression of enable_annotations matches it; ` +
        `annotation: ${HYPERVISOR}default_memory = "junk": must be a whole number in decimal digits`,
      "what is not allowed is found before any value is looked at",
    );
    await load(dir, { annotations: { [`${RUNTIME}disable_guest_seccomp`]: "1" } });
  });
});

/** What goes wrong more easily than a word does, as an annotation of each type. */
const ODD_NUMBERS = [
  " 5",
  "5 ",
  "5.0",
  "0x10",
  "",
  "-1",
  "+5",
  "1e3",
  "5_0",
  "٥",
  "5\n",
  "5\0",
  "1,5",
  "inf",
  "NaN",
];

Deno.test("numbers are decimal digits, and nothing around them", async () => {
  await inFolder(ALL, async (dir) => {
    for (const value of ODD_NUMBERS) {
      const message = await failure(dir, { annotations: { [`${HYPERVISOR}memory_slots`]: value } });
      assert.match(message, /memory_slots = ".*": must be a whole number in decimal digits$/);
      if (value === "5.0") continue;
      const other = await failure(dir, { annotations: { [`${HYPERVISOR}default_vcpus`]: value } });
      assert.match(other, /default_vcpus = ".*": must be a number in decimal digits, such as "1.5"$/);
    }
    for (const value of ["99999999999999999999", "4294967296", "9".repeat(400)]) {
      const message = await failure(dir, { annotations: { [`${HYPERVISOR}memory_slots`]: value } });
      assert.match(message, /memory_slots = "\d+(\.\.\.)?.*: must be at most 255$/);
    }
  });
});

Deno.test("a switch is true or false, and a word one of those that there are, to the letter", async () => {
  await inFolder(ALL, async (dir) => {
    for (const value of ["true ", " true", "tRue", "yes", "on", "", "2", "true\n", "\u{ff54}rue"]) {
      const message = await failure(dir, { annotations: { [`${HYPERVISOR}enable_iommu`]: value } });
      assert.match(message, /enable_iommu = ".*": must be "true" or "false"$/);
      assert.doesNotMatch(message, /\n/);
    }
    for (const value of ["native ", "", "Native", "native\0"]) {
      const message = await failure(dir, { annotations: { [`${HYPERVISOR}block_device_aio`]: value } });
      assert.match(message, /block_device_aio = ".*": must be "io_uring", "native" or "threads"/);
    }
  });
});

Deno.test("an annotation cannot take the kernel, the initrd or the image away", async () => {
  await inFolder(ALL, async (dir) => {
    for (const key of ["kernel", "initrd", "image"]) {
      assert.equal(
        await failure(dir, { annotations: { [`${HYPERVISOR}${key}`]: "" } }),
        `annotation: ${HYPERVISOR}${key} = "": must name a file`,
      );
    }
  });
});

Deno.test("a prefix that lacks a part is reported with the whole name", async () => {
  await inFolder(ALL, async (dir) => {
    const names = ["hypervisor.kernel", "runtime.vfio_mode", "agent.kernel_modules"];
    const annotations = Object.fromEntries(names.map((name) => [`io.katacontainers.${name}`, "/x"]));
    const { warnings, config } = await load(dir, { annotations });
    assert.deepEqual(
      warnings,
      names.map((name) =>
        `annotation "io.katacontainers.${name}" is not a known annotation and has no effect: ` +
        `did you mean "io.katacontainers.config.${name}"?`
      ),
    );
    assert.equal(config.hypervisor.kernel, join(dir, "vmlinux"));
  });
});

Deno.test("keys of the administrator's have no effect as annotations, which is said", async () => {
  await inFolder(ALL, async (dir) => {
    const annotations = {
      [`${HYPERVISOR}seccompsandbox`]: "off",
      [`${HYPERVISOR}enable_annotations`]: "x",
      [`${HYPERVISOR}accelerator`]: "tcg",
      [`${RUNTIME}enable_debug`]: "true",
      "io.katacontainers.config.factory.enable_template": "true",
    };
    const { config, warnings } = await load(dir, { annotations });
    assert.deepEqual(
      warnings,
      Object.keys(annotations).map((name) =>
        `annotation "${name}" has no effect: only a configuration file can set this key`
      ),
    );
    assert.equal(config.hypervisor.accelerator, "auto");
    assert.equal(config.runtime.enable_debug, false);
  });
});

Deno.test("unknown annotations are ignored with a warning", async () => {
  await inFolder(ALL, async (dir) => {
    const annotations = {
      [`${HYPERVISOR}no_such_key`]: "x",
      [`${HYPERVISOR}jailer_path`]: "/x",
      [`${HYPERVISOR}toString`]: "/x",
      "io.katacontainers.config.toString.x": "x",
    };
    const { warnings } = await load(dir, { annotations });
    const unknown = "is not a known annotation and has no effect";
    assert.deepEqual(
      warnings.map((text) => text.replace(/: did you mean .*/, "")),
      Object.keys(annotations).map((name) => `annotation "${name}" ${unknown}`),
    );
  });
});

Deno.test("values that a key cannot have are refused with name, value and what is allowed", async () => {
  const cases: [string, string, string][] = [
    [`${HYPERVISOR}default_memory`, "100", "must be at least 256 MiB"],
    [`${HYPERVISOR}default_memory`, "1G", "must be a whole number in decimal digits"],
    [`${HYPERVISOR}default_memory`, "-1", "must be a whole number in decimal digits"],
    [`${HYPERVISOR}default_memory`, "99999999999", "must be at most 4294967295 MiB"],
    [`${HYPERVISOR}default_vcpus`, "", 'must be a number in decimal digits, such as "1.5"'],
    [`${HYPERVISOR}default_vcpus`, "1e3", 'must be a number in decimal digits, such as "1.5"'],
    [`${HYPERVISOR}disable_vhost_net`, "yes", 'must be "true" or "false"'],
    [`${HYPERVISOR}shared_fs`, "none", 'must be "virtio-fs" or "virtio-9p"'],
    [`${HYPERVISOR}machine_type`, "pc", 'must be "q35", "microvm" or "virt"'],
    [`${HYPERVISOR}virtio_fs_extra_args`, "-o x", "must be a JSON array of strings"],
    [`${HYPERVISOR}virtio_fs_extra_args`, "[1]", "must be a JSON array of strings"],
    [`${HYPERVISOR}kernel`, "vmlinux", "must be an absolute path"],
    [`${HYPERVISOR}kernel`, "/nowhere/vmlinux", "must be an existing file"],
    [`${RUNTIME}internetworking_model`, "bridge", 'must be "tcfilter", "macvtap" or "none"'],
  ];
  await inFolder(ALL, async (dir) => {
    for (const [name, value, message] of cases) {
      assert.equal(
        await failure(dir, { annotations: { [name]: value } }),
        `annotation: ${name} = ${JSON.stringify(value)}: ${message}`,
      );
    }
  });
});

Deno.test("more CPUs than the host has are refused, under both names of their number", async () => {
  const host = navigator.hardwareConcurrency;
  await inFolder(ALL, async (dir) => {
    for (const key of ["default_vcpus", "default_max_vcpus", "default_maxvcpus"]) {
      const name = HYPERVISOR + key;
      assert.equal(
        await failure(dir, { annotations: { [name]: String(host + 1) } }),
        `annotation: ${name} = "${host + 1}": must be at most ${host}, the number of the host's CPUs`,
      );
      await load(dir, { annotations: { [name]: String(host) } });
    }
  });
});

Deno.test("empty values leave keys alone where that is the custom", async () => {
  await inFolder(
    { "configuration.toml": `${ALL["configuration.toml"]}cpu_features = "pmu=off"\n` },
    async (dir) => {
      const { hypervisor } = (await load(dir, {
        annotations: {
          [`${HYPERVISOR}cpu_features`]: "",
          [`${HYPERVISOR}machine_type`]: "",
          [`${HYPERVISOR}entropy_source`]: "",
        },
      })).config;
      assert.equal(hypervisor.cpu_features, "pmu=off");
      assert.equal(hypervisor.entropy_source, "/dev/urandom");
    },
  );
});

Deno.test("paths that a list guards must be existing files that it allows", async () => {
  await inFolder({ "bin/qemu-a": "x", "bin/.qemu-b": "x", "other/qemu-a": "x" }, async (dir) => {
    const text = `${
      ALL["configuration.toml"]
    }valid_hypervisor_paths = ["${dir}/bin/*-[ab]", "${dir}/bin/qemu-c"]\n`;
    await Deno.writeTextFile(join(dir, "configuration.toml"), text);
    const path = (value: string) => ({ annotations: { [`${HYPERVISOR}path`]: value } });
    assert.equal((await load(dir, path(`${dir}/bin/qemu-a`))).config.hypervisor.path, `${dir}/bin/qemu-a`);
    const refused = (value: string) =>
      `annotation: ${HYPERVISOR}path = "${value}": must be an existing file that valid_hypervisor_paths allows`;
    for (const value of ["/bin/.qemu-b", "/bin/qemu-c", "/other/qemu-a", "/bin/../other/qemu-a"]) {
      assert.equal(await failure(dir, path(dir + value)), refused(`DIR${value}`));
    }
    assert.equal(
      await failure(dir, path("bin/qemu-a")),
      `annotation: ${HYPERVISOR}path = "bin/qemu-a": must be an absolute path`,
    );
    const daemon = { annotations: { [`${HYPERVISOR}virtio_fs_daemon`]: `${dir}/bin/qemu-a` } };
    assert.match(
      await failure(dir, daemon),
      /valid_virtio_fs_daemon_paths allows$/,
      "an empty list allows nothing",
    );
  });
});

Deno.test("an image takes the initrd's place, but not both can be given", async () => {
  await inFolder({ ...ALL, disk: "x" }, async (dir) => {
    const image = { [`${HYPERVISOR}image`]: join(dir, "disk") };
    const { hypervisor } = (await load(dir, { annotations: image })).config;
    assert.deepEqual([hypervisor.image, hypervisor.initrd], [join(dir, "disk"), ""]);
    assert.equal(
      await failure(dir, { annotations: { ...image, [`${HYPERVISOR}initrd`]: join(dir, "initrd") } }),
      `annotation "${HYPERVISOR}initrd" cannot be set together with ${HYPERVISOR}image`,
    );
  });
});

Deno.test("hashes of files are compared with the files that are used", async () => {
  // "x", as the folder's files have it
  const right = new Uint8Array(await crypto.subtle.digest("SHA-512", new TextEncoder().encode("x"))).toHex();
  const wrong = right.replace(/^./, (digit) => digit === "0" ? "1" : "0");
  await inFolder(ALL, async (dir) => {
    for (const [name, key] of [["hypervisor", "qemu"], ["kernel", "vmlinux"], ["initrd", "initrd"]]) {
      const hash = `${HYPERVISOR}${name}_hash`;
      await load(dir, { annotations: { [hash]: right, "io.katacontainers.asset_hash_type": "sha512" } });
      await load(dir, { annotations: { [hash]: right.toUpperCase() } });
      assert.equal(
        await failure(dir, { annotations: { [hash]: wrong } }),
        `annotation: ${hash} = "${wrong}": must be the SHA-512 of "DIR/${key}", which is ${right}`,
      );
    }
    for (const name of ["image", "firmware", "firmware_volume"]) {
      assert.match(
        await failure(dir, { annotations: { [`${HYPERVISOR}${name}_hash`]: right } }),
        new RegExp(`: needs ${name}, which is not set$`),
      );
    }
    assert.match(
      await failure(dir, { annotations: { [`${HYPERVISOR}kernel_hash`]: "abc" } }),
      /must be 128 hexadecimal digits, a SHA-512$/,
    );
    assert.match(
      await failure(dir, { annotations: { [`${HYPERVISOR}asset_hash_type`]: "md5" } }),
      /asset_hash_type = "md5": must be "sha512"$/,
    );
  });
});

Deno.test("zeros that mean nothing leave keys alone, or are refused", async () => {
  const text = `${ALL["configuration.toml"]}memory_slots = 3\nmemory_offset = 7\n`;
  await inFolder({ "configuration.toml": text }, async (dir) => {
    const zeros = { [`${HYPERVISOR}memory_slots`]: "0", [`${HYPERVISOR}memory_offset`]: "0" };
    const { hypervisor } = (await load(dir, { annotations: zeros })).config;
    assert.deepEqual([hypervisor.memory_slots, hypervisor.memory_offset], [3, 7]);
    for (const [key, problem] of [["default_memory", "at least 256 MiB"], ["msize_9p", "at least 1 bytes"]]) {
      assert.match(
        await failure(dir, { annotations: { [HYPERVISOR + key]: "0" } }),
        new RegExp(`${key} = "0": must be ${problem}$`),
      );
    }
  });
});

Deno.test("ports for devices of the host are of one kind: the annotation's", async () => {
  const text = `${ALL["configuration.toml"]}hot_plug_vfio = "root-port"\n`;
  await inFolder({ "configuration.toml": text }, async (dir) => {
    const { hypervisor } =
      (await load(dir, { annotations: { [`${HYPERVISOR}cold_plug_vfio`]: "switch-port" } }))
        .config;
    assert.deepEqual([hypervisor.hot_plug_vfio, hypervisor.cold_plug_vfio], ["no-port", "switch-port"]);
  });
});

Deno.test("all mistakes of annotations are reported at once", async () => {
  await inFolder(ALL, async (dir) => {
    const { report } = await examineConfig({
      explicit: join(dir, "configuration.toml"),
      env: {},
      annotations: {
        [`${HYPERVISOR}default_memory`]: "1",
        [`${HYPERVISOR}default_memmory`]: "512",
        [`${RUNTIME}internetworking_model`]: "macvtab",
        [`${AGENT}policy`]: "?",
      },
    });
    assert.deepEqual(report.mistakes.map(({ text }) => text), [
      `annotation "${HYPERVISOR}default_memmory" is not a known annotation and has no effect: ` +
      `did you mean "${HYPERVISOR}default_memory"?`,
      `annotation: ${HYPERVISOR}default_memory = "1": must be at least 256 MiB`,
      `annotation: ${RUNTIME}internetworking_model = "macvtab": must be "tcfilter", "macvtap" or "none": ` +
      'did you mean "macvtap"?',
      `annotation: ${AGENT}policy = "?": must be a text in base64`,
    ]);
  });
});
