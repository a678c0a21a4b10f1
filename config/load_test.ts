import fc from "fast-check";
import assert from "node:assert/strict";
import { join } from "node:path";
import { arch, maxCpus } from "./host.ts";
import { loadConfig } from "./load.ts";
import { DEFAULT_FILES } from "./files.ts";
import { fallbackFiles } from "./source.ts";
import { failure, type Files, inFolder, load, MINIMAL } from "./test_files.ts";

const main = (text: string) => ({ "configuration.toml": MINIMAL + text });

/** Loads MINIMAL plus `text`. */
async function config(text: string, files: Files = {}) {
  let loaded: Awaited<ReturnType<typeof load>> | undefined;
  await inFolder({ ...main(text), ...files }, async (dir) => {
    loaded = await load(dir);
  });
  assert.ok(loaded);
  return loaded.config;
}

async function problem(text: string, files: Files = {}): Promise<string> {
  let message = "";
  await inFolder({ ...main(text), ...files }, async (dir) => {
    message = await failure(dir);
  });
  return message;
}

Deno.test("keys that are not set have their defaults", async () => {
  const { hypervisor, runtime, agent } = await config("");
  assert.equal(hypervisor.name, "qemu");
  assert.equal(hypervisor.accelerator, "auto");
  assert.equal(hypervisor.default_memory, 2048);
  assert.equal(hypervisor.default_vcpus, 1);
  assert.equal(hypervisor.default_maxvcpus, Math.min(navigator.hardwareConcurrency, maxCpus));
  assert.equal(hypervisor.entropy_source, "/dev/urandom");
  assert.deepEqual(hypervisor.virtio_fs_extra_args, []);
  assert.equal(runtime.create_container_timeout, 60);
  assert.equal(agent.dial_timeout, 30);
});

Deno.test("keys of all tables are read", async () => {
  const { hypervisor, runtime, agent } = await config(`
machine_accelerators = "a,b"
default_memory = 512
default_vcpus = 0.5
kernel_params = "x=1 y"
enable_debug = true
virtio_fs_cache = "none"
virtio_fs_extra_args = ["-o", "x"]
[runtime]
internetworking_model = "default"
sandbox_cgroup_only = true
[agent.kata]
kernel_modules = ["e1000e Rx=1", "dm"]
dial_timeout = 90
`);
  assert.equal(hypervisor.machine_accelerators, "a,b");
  assert.equal(hypervisor.default_memory, 512);
  assert.equal(hypervisor.default_vcpus, 0.5);
  assert.equal(hypervisor.kernel_params, "x=1 y");
  assert.equal(hypervisor.enable_debug, true);
  assert.equal(hypervisor.virtio_fs_cache, "never");
  assert.deepEqual(hypervisor.virtio_fs_extra_args, ["-o", "x"]);
  assert.equal(runtime.internetworking_model, "tcfilter");
  assert.equal(runtime.sandbox_cgroup_only, true);
  assert.deepEqual(agent.kernel_modules, ["e1000e Rx=1", "dm"]);
  assert.equal(agent.dial_timeout, 90);
});

Deno.test("zero stands for the default where that is the custom", async () => {
  const { hypervisor, runtime, agent } = await config(`
default_memory = 0
default_vcpus = 0
msize_9p = 0
virtio_fs_queue_size = 0
virtio_fs_cache = ""
entropy_source = ""
[runtime]
create_container_timeout = 0
[agent.kata]
dial_timeout = 0
`);
  assert.equal(hypervisor.default_memory, 2048);
  assert.equal(hypervisor.default_vcpus, 1);
  assert.equal(hypervisor.msize_9p, 8192);
  assert.equal(hypervisor.virtio_fs_queue_size, 1024);
  assert.equal(hypervisor.virtio_fs_cache, "auto");
  assert.equal(hypervisor.entropy_source, "/dev/urandom");
  assert.equal(runtime.create_container_timeout, 60);
  assert.equal(agent.dial_timeout, 30);
});

Deno.test("numbers of CPUs are limited to the host's", async () => {
  const host = Math.min(navigator.hardwareConcurrency, maxCpus);
  assert.equal((await config("default_vcpus = -1")).hypervisor.default_vcpus, host);
  const { hypervisor } = await config("default_vcpus = 100000\ndefault_maxvcpus = 1");
  assert.equal(hypervisor.default_vcpus, host);
  assert.equal(hypervisor.default_maxvcpus, host, "what boots can be plugged in");
  assert.equal((await config("default_maxvcpus = 100000")).hypervisor.default_maxvcpus, maxCpus);
});

Deno.test("the main file is the first that is named: by annotation, by option, by environment, then the usual ones", async () => {
  const body = (memory: number) => `${MINIMAL}default_memory = ${memory}\n`;
  const files = {
    "annotation.toml": body(501),
    "option.toml": body(502),
    "environment.toml": body(503),
    "first/configuration.toml": body(504).replaceAll('"qemu"', '"../qemu"').replaceAll(
      '"vmlinux"',
      '"../vmlinux"',
    )
      .replaceAll('"initrd"', '"../initrd"'),
    "configuration.toml": body(505),
  };
  await inFolder(files, async (dir) => {
    const annotations = { "io.katacontainers.config_path": join(dir, "annotation.toml") };
    const explicit = join(dir, "option.toml");
    const env = { KATA_CONF_FILE: join(dir, "environment.toml") };
    const fallbacks = ["missing", "first", "."].map((name) => join(dir, name, "configuration.toml"));
    const memory = async (options: Parameters<typeof loadConfig>[0]) =>
      (await loadConfig({ env: {}, fallbacks, ...options })).config.hypervisor.default_memory;
    assert.equal(await memory({ annotations, explicit, env }), 501);
    assert.equal(await memory({ explicit, env }), 502);
    assert.equal(await memory({ explicit: "", env }), 503);
    assert.equal(await memory({}), 504);
    await Deno.remove(join(dir, "first"), { recursive: true });
    assert.equal(await memory({}), 505);
  });
});

Deno.test("a pod cannot bring a configuration of its own, and has the choice of those beside the administrator's", async () => {
  const files = { "a/configuration.toml": MINIMAL, "volume/mine.toml": MINIMAL, "a/more/x.toml": MINIMAL };
  await inFolder(files, async (dir) => {
    const fallbacks = [join(dir, "a/configuration.toml")];
    const of = (path: string) => ({ fallbacks, annotations: { "io.katacontainers.config_path": path } });
    const refused = (file: string) =>
      "a pod may only choose a configuration file in a folder of the configuration, which " +
      `"DIR/${file}" is not: these are "DIR/a"`;
    await Deno.symlink(join(dir, "volume/mine.toml"), join(dir, "volume/link.toml"));
    for (const path of ["volume/mine.toml", "a/../volume/mine.toml", "volume/link.toml"]) {
      assert.equal(await failure(dir, of(`${dir}/${path}`)), refused("volume/mine.toml"));
    }
    assert.equal(await failure(dir, of(join(dir, "a/more/x.toml"))), refused("a/more/x.toml"));
    // a link in the administrator's folder leads where the administrator wants
    await Deno.symlink(join(dir, "volume"), join(dir, "b"));
    const linked = { ...of(join(dir, "volume/mine.toml")), fallbacks: [join(dir, "b/configuration.toml")] };
    await Deno.writeTextFile(join(dir, "volume/configuration.toml"), "");
    assert.match(await failure(dir, linked), /^DIR\/volume\/mine.toml/);
  });
});

Deno.test("the usual files are those of the system, then the one beside the executable", () => {
  assert.deepEqual(DEFAULT_FILES, [
    "/etc/kata-containers/configuration.toml",
    "/usr/share/defaults/kata-containers/configuration.toml",
  ]);
  assert.deepEqual(fallbackFiles("/opt/kata"), [...DEFAULT_FILES, "/opt/kata/configuration.toml"]);
});

Deno.test("a file that is named must exist; when there is none, all paths are listed", async () => {
  await inFolder({}, async (dir) => {
    assert.equal(
      await failure(dir, { explicit: join(dir, "x.toml") }),
      'cannot read the configuration file "DIR/x.toml": it does not exist',
    );
    assert.equal(
      await failure(dir, { fallbacks: ["/nowhere/a.toml", "/nowhere/b.toml"] }),
      'no configuration file found: looked for "/nowhere/a.toml", "/nowhere/b.toml"',
    );
    assert.equal(
      await failure(dir, { explicit: dir }),
      'cannot read the configuration file "DIR": it is a folder',
    );
  });
});

Deno.test("links to the main file are resolved: paths and drop-ins start where it really is", async () => {
  const files = {
    "real/configuration.toml": MINIMAL,
    "real/qemu": "x",
    "real/vmlinux": "x",
    "real/initrd": "x",
    "real/config.d/10-a": "[hypervisor.qemu]\ndefault_memory = 300",
    "config.d/10-b": "[hypervisor.qemu]\ndefault_memory = 400",
  };
  await inFolder(files, async (dir) => {
    await Deno.symlink(join(dir, "real/configuration.toml"), join(dir, "configuration.toml"));
    const { config, path, sources } = await load(dir);
    assert.equal(path, join(dir, "real/configuration.toml"));
    assert.equal(config.hypervisor.kernel, join(dir, "real/vmlinux"));
    assert.equal(config.hypervisor.default_memory, 300);
    assert.deepEqual(sources.dropIns, [join(dir, "real/config.d/10-a")]);
  });
});

Deno.test("drop-ins override key by key, in byte order of their names", async () => {
  const files = {
    ...main('default_memory = 300\nkernel_params = "main"\nvirtio_fs_extra_args = ["main"]\n'),
    "config.d/9-c": "[hypervisor.qemu]\ndefault_memory = 600",
    "config.d/20-b.toml": '[hypervisor.qemu]\ndefault_memory = 500\nvirtio_fs_extra_args = ["b"]',
    "config.d/10-a": "[runtime]\nenable_debug = true\n[hypervisor.qemu]\ndefault_memory = 400",
  };
  await inFolder(files, async (dir) => {
    const { config, sources } = await load(dir);
    assert.equal(config.hypervisor.default_memory, 600);
    assert.equal(config.hypervisor.kernel_params, "main");
    assert.deepEqual(config.hypervisor.virtio_fs_extra_args, ["b"]);
    assert.equal(config.runtime.enable_debug, true);
    assert.deepEqual(sources.dropIns.map((path) => path.slice(dir.length)), [
      "/config.d/10-a",
      "/config.d/20-b.toml",
      "/config.d/9-c",
    ]);
  });
});

Deno.test("drop-ins must be readable, valid, and set keys that exist", async () => {
  assert.equal(
    await problem("", { "config.d/a": null }),
    "DIR/config.d/a: cannot read the file: it is a folder",
  );
  assert.match(
    await problem("", { "config.d/a": "[runtime]\nx = \n" }),
    /^DIR\/config\.d\/a:2: no valid TOML: \S/,
  );
  assert.equal(
    await problem("", { "config.d/a": "[hypervisor.qemu]\n\ndefault_memmory = 1" }),
    'DIR/config.d/a:3: hypervisor.qemu.default_memmory is not a key that can be set: did you mean "default_memory"?',
  );
  assert.equal(
    await problem("", { "config.d/a": "[agent.kata]\ncontainer_pipe_size = 1" }),
    "DIR/config.d/a:2: agent.kata.container_pipe_size can only be set by an annotation",
  );
});

Deno.test("unknown keys and tables of the main file are ignored with a warning", async () => {
  const text = `
no_such_key = 1
[runtime]
another = true
[image]
x = 1
[agent.kata]
mem_agent = { x = 1 }
[factory]
old = 1
`;
  await inFolder({ ...main(text), "config.d/a": "[runtime]\nthird = 1\n[new]\n" }, async (dir) => {
    const { warnings } = await load(dir);
    const unknown = (what: string) => `is not a known ${what} and has no effect`;
    assert.deepEqual(warnings.map((text) => text.replaceAll(dir, "DIR")).sort(), [
      `DIR/config.d/a:2: runtime.third ${unknown("key")}`,
      `DIR/config.d/a:3: new ${unknown("table")}`,
      `DIR/configuration.toml:10: runtime.another ${unknown("key")}`,
      `DIR/configuration.toml:14: agent.kata.mem_agent ${unknown("key")}`,
      `DIR/configuration.toml:16: factory.old ${unknown("key")}`,
      `DIR/configuration.toml:8: hypervisor.qemu.no_such_key ${unknown("key")}`,
    ]);
  });
});

Deno.test("values of the wrong type are refused with file, line, key and value", async () => {
  const cases: [string, string][] = [
    ['default_memory = "2G"', 'default_memory = "2G": must be an integer, not a string'],
    ["default_memory = 1.5", "default_memory = 1.5: must be an integer, not a number with a fraction"],
    ['kernel_params = ["a"]', 'kernel_params = ["a"]: must be a string, not an array of strings'],
    ["kernel_params = 1979-05-27", 'kernel_params = "1979-05-27": must be a string, not a date'],
    ["enable_debug = 1", "enable_debug = 1: must be a boolean, not an integer"],
    ['virtio_fs_extra_args = "a"', 'virtio_fs_extra_args = "a": must be an array of strings, not a string'],
    [
      "virtio_fs_extra_args = [1]",
      "virtio_fs_extra_args = [1]: must be an array of strings, not an array of other values",
    ],
    ["default_vcpus = nan", "default_vcpus = NaN: must be a number, not inf or nan"],
    ["kernel_params = { a = 1 }", 'kernel_params = {"a":1}: must be a string, not a table'],
  ];
  for (const [line, message] of cases) {
    assert.equal(await problem(line), `DIR/configuration.toml:7: hypervisor.qemu.${message}`);
  }
});

Deno.test("values out of range and unknown words are refused with what is allowed", async () => {
  const [own, other] = arch === "aarch64" ? ['"virt"', "q35"] : ['"q35" or "microvm"', "virt"];
  const cases: [string, string][] = [
    ["default_memory = 255", "default_memory = 255: must be at least 256 MiB"],
    ["default_memory = -1", "default_memory = -1: must be at least 256 MiB"],
    ["msize_9p = 4294967296", "msize_9p = 4294967296: must be at most 4294967295 bytes"],
    ["virtio_fs_queue_size = 1000", "virtio_fs_queue_size = 1000: must be a power of two"],
    ["virtio_fs_queue_size = 2048", "virtio_fs_queue_size = 2048: must be at most 1024"],
    ['accelerator = "hvf"', 'accelerator = "hvf": must be "auto", "kvm" or "tcg"'],
    ['accelerator = "toString"', 'accelerator = "toString": must be "auto", "kvm" or "tcg"'],
    ['machine_type = "pc"', 'machine_type = "pc": must be "q35", "microvm" or "virt"'],
    [`machine_type = "${other}"`, `machine_type = "${other}": must be ${own} on this architecture`],
    [
      'virtio_fs_cache = "constructor"',
      'virtio_fs_cache = "constructor": must be "auto", "never", "metadata" or "always"',
    ],
    ['enable_annotations = ["("]', 'enable_annotations = ["("]: must hold regular expressions: "(" is none'],
  ];
  for (const [line, message] of cases) {
    assert.equal(await problem(line), `DIR/configuration.toml:7: hypervisor.qemu.${message}`);
  }
});

Deno.test("a file that is no TOML is refused with the line", async () => {
  assert.match(
    await problem("x = 'open\n"),
    /^DIR\/configuration\.toml:7: no valid TOML: \S/,
  );
  assert.match(await problem("default_memory = 99999999999999999999"), /^DIR\/configuration\.toml:7: /);
  assert.equal(await problem("[[agent]]\n"), "DIR/configuration.toml:7: agent = [{}]: must be a table");
  assert.equal(
    await problem("", { "config.d/a": "runtime = 1" }),
    "DIR/config.d/a:1: runtime = 1: must be a table",
  );
  assert.equal(
    await problem("", { "config.d/a": "hypervisor.qemu = 1979-05-27" }),
    'DIR/config.d/a:1: hypervisor.qemu = "1979-05-27": must be a table',
  );
});

Deno.test("numbers beyond what a number holds exactly are out of range, and no other type's", async () => {
  const beginning = "DIR/configuration.toml:7: hypervisor.qemu";
  assert.equal(
    await problem("rx_rate_limiter_max_rate = 9223372036854775807"),
    `${beginning}.rx_rate_limiter_max_rate = 9223372036854775807: must be at most 9007199254740991 bits per second`,
  );
  assert.equal(
    await problem("kernel_params = 9223372036854775807"),
    `${beginning}.kernel_params = 9223372036854775807: must be a string, not an integer`,
  );
  assert.equal(
    await problem("kernel_params = { a = 9223372036854775807 }"),
    `${beginning}.kernel_params = {"a":"9223372036854775807"}: must be a string, not a table`,
  );
});

Deno.test("a key that stands in a wrong table is told where it belongs", async () => {
  await inFolder(main("[agent.kata]\npath = 1\n[runtime]\ndial_timeout = 1"), async (dir) => {
    const { warnings } = await load(dir);
    const unknown = "is not a known key and has no effect: did you mean";
    assert.deepEqual(warnings, [
      `${dir}/configuration.toml:10: runtime.dial_timeout ${unknown} "agent.kata.dial_timeout"?`,
      `${dir}/configuration.toml:8: agent.kata.path ${unknown} "hypervisor.qemu.path"?`,
    ]);
  });
});

Deno.test("tables that a table's name implies have its line", async () => {
  await inFolder(main("[hypervisr.qemu]\npath = 1"), async (dir) => {
    const { warnings } = await load(dir);
    assert.deepEqual(warnings, [
      `${dir}/configuration.toml:7: hypervisr is not a known table and has no effect: did you mean "hypervisor"?`,
    ]);
  });
});

Deno.test("only one hypervisor may be configured, and one that is known", async () => {
  assert.equal(
    await problem("[hypervisor.clh]\n"),
    "DIR/configuration.toml:7: hypervisor.clh cannot be configured beside hypervisor.qemu: a machine has one hypervisor",
  );
  assert.equal(
    await problem("", { "config.d/a": "[hypervisor.firecracker]\n" }),
    "DIR/config.d/a:1: hypervisor.firecracker cannot be configured beside hypervisor.qemu: a machine has one hypervisor",
  );
  assert.equal(
    await problem("", { "configuration.toml": "[hypervisor.clh]\nkernel = 1\n" }),
    'DIR/configuration.toml:1: hypervisor.clh is not supported: the hypervisor must be "qemu"',
  );
});

Deno.test("programs and guest files must be there", async () => {
  const without = (key: string) => MINIMAL.split("\n").filter((line) => !line.startsWith(key)).join("\n");
  assert.equal(
    await problem("", { "configuration.toml": without("kernel") }),
    "DIR/configuration.toml: hypervisor.qemu.kernel is not set: must name a file",
  );
  assert.equal(
    await problem("", { "configuration.toml": without("initrd") }),
    "DIR/configuration.toml: hypervisor.qemu.initrd is not set: it or image must name a file",
  );
  assert.equal(
    await problem("", { "configuration.toml": MINIMAL.replace('"vmlinux"', '"sub/vmlinux"') }),
    'DIR/configuration.toml:4: hypervisor.qemu.kernel = "DIR/sub/vmlinux": must be an existing file',
  );
  assert.equal(
    await problem("", { "configuration.toml": MINIMAL.replace('"qemu"', '"/"') }),
    'DIR/configuration.toml:3: hypervisor.qemu.path = "/": must be an existing file',
  );
  assert.equal(
    await problem("", { initrd: "" }),
    'DIR/configuration.toml:5: hypervisor.qemu.initrd = "DIR/initrd": must not be an empty file',
  );
  assert.equal(
    await problem('image = "vmlinux"'),
    'DIR/configuration.toml:7: hypervisor.qemu.image = "DIR/vmlinux": cannot be set together with initrd "DIR/initrd"',
  );
  assert.equal(
    await problem('firmware = "bios"'),
    'DIR/configuration.toml:7: hypervisor.qemu.firmware = "DIR/bios": must be an existing file',
  );
});

Deno.test("the initrd must fit into the memory", async () => {
  await inFolder(main("default_memory = 256"), async (dir) => {
    await Deno.truncate(join(dir, "initrd"), 256 * 1024 * 1024);
    assert.equal(
      await failure(dir),
      'DIR/configuration.toml:7: hypervisor.qemu.default_memory = 256: must be more than the 256 MiB of the initrd "DIR/initrd"',
    );
    await Deno.truncate(join(dir, "initrd"), 256 * 1024 * 1024 - 1);
    assert.equal((await load(dir)).config.hypervisor.default_memory, 256);
  });
});

Deno.test("an image can take the initrd's place", async () => {
  const { hypervisor } = await config("", {
    "configuration.toml": MINIMAL.replace("initrd =", "image ="),
  });
  assert.equal(hypervisor.initrd, "");
  assert.match(hypervisor.image, /\/initrd$/);
});

Deno.test("virtiofsd is the one that is set, or found in PATH", async () => {
  const shared = MINIMAL.replace("virtio-9p", "virtio-fs");
  await inFolder({ "configuration.toml": shared, "bin/virtiofsd": "x" }, async (dir) => {
    const { hypervisor } = (await load(dir, { env: { PATH: `relative:/nowhere:${dir}/bin` } })).config;
    // an installed one goes before PATH
    assert.ok(
      hypervisor.virtio_fs_daemon.startsWith("/usr/lib") ||
        hypervisor.virtio_fs_daemon === `${dir}/bin/virtiofsd`,
    );
  });
  await inFolder({
    "configuration.toml": shared + 'virtio_fs_daemon = "bin/virtiofsd"\n',
    "bin/virtiofsd": "x",
  }, async (dir) => {
    assert.equal((await load(dir)).config.hypervisor.virtio_fs_daemon, `${dir}/bin/virtiofsd`);
    await Deno.remove(join(dir, "bin/virtiofsd"));
    assert.equal(
      await failure(dir),
      'DIR/configuration.toml:7: hypervisor.qemu.virtio_fs_daemon = "DIR/bin/virtiofsd": must be an existing file',
    );
  });
});

Deno.test("a network namespace of the host's needs the model without network", async () => {
  assert.equal(
    await problem("[runtime]\ndisable_new_netns = true"),
    'DIR/configuration.toml:8: runtime.disable_new_netns = true: needs internetworking_model = "none", which is "tcfilter"',
  );
  const { runtime } = await config('[runtime]\ndisable_new_netns = true\ninternetworking_model = "none"');
  assert.equal(runtime.disable_new_netns, true);
});

Deno.test("whatever a file holds, loading ends with a configuration or with one sentence", async () => {
  const word = fc.constantFrom(
    "hypervisor",
    "qemu",
    "runtime",
    "agent",
    "kata",
    "path",
    "kernel",
    "[",
    "]",
    "=",
    ".",
    '"',
    "\n",
    "1",
    "true",
    "{",
    "}",
    ",",
    "'",
    "é",
    "__proto__",
  );
  await inFolder({}, async (dir) => {
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 30 }), fc.boolean(), async (words, spaced) => {
        await Deno.writeTextFile(join(dir, "configuration.toml"), words.join(spaced ? " " : ""));
        const message = await failure(dir);
        assert.ok(message.length > 0 && !message.includes("\n"), message);
      }),
      { numRuns: 300 },
    );
  });
});
