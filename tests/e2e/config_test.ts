/** The configuration as a user has it: files, the commands about them, and machines made from them. */

import assert from "node:assert/strict";
import { DIST } from "../../tools/paths.ts";
import { kata, onHost, text } from "./kata_run.ts";

const GUEST = ["--kernel", `${DIST}/vmlinux`, "--initrd", `${DIST}/kata-initrd.img`];

/** Time for a boot while others boot, too, in milliseconds. */
const BOOT_MS = 300_000;

Deno.test(
  "the default file has no mistake, and starts a container",
  onHost(async (rootfs, folder) => {
    const printed = await kata(["config", "default", ...GUEST]);
    assert.equal(printed.code, 0, printed.stderr);
    const file = `${folder}/configuration.toml`;
    await Deno.writeFile(file, printed.stdout);
    const checked = await kata(["config", "check", file]);
    assert.deepEqual([checked.code, text(checked)], [0, `${file}: no mistakes, no warnings\n`]);
    const run = ["run", "--rootfs", rootfs, "--", "echo", "from the default"];
    const ran = await kata(["--config", file, ...run], { timeoutMs: BOOT_MS });
    assert.deepEqual([ran.code, text(ran), ran.stderr], [0, "from the default\n", ""]);
  }),
);

Deno.test(
  "keys change the real machine: its kernel's parameters, its memory, its devices, its user",
  onHost(async (rootfs, folder) => {
    const file = `${folder}/configuration.toml`;
    await Deno.writeTextFile(`${folder}/hello`, "from the host\n");
    await Deno.writeTextFile(
      file,
      `[hypervisor.qemu]
kernel = "${DIST}/vmlinux"
initrd = "${DIST}/kata-initrd.img"
default_bridges = 2
rootless = true
reclaim_guest_freed_memory = true
kernel_params = "kata.test=1"
enable_mem_prealloc = true
default_memory = 400
[runtime]
disable_guest_seccomp = true
sandbox_bind_mounts = ["hello"]
[agent.kata]
dial_timeout = 120
`,
    );
    const script = "cat /proc/cmdline; cat /proc/meminfo; ls /sys/bus/pci/devices";
    const ran = await kata(
      [
        "run",
        "--config",
        file,
        "--rootfs",
        rootfs,
        "--",
        "sh",
        "-c",
        script,
      ],
      { timeoutMs: BOOT_MS },
    );
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(text(ran), / kata\.test=1$/m);
    assert.match(text(ran), /^0000:00:03\.0$[^]*^0000:00:1f\.0$/m);
    const [, total = ""] = /MemTotal: +(\d+) kB/.exec(text(ran)) ?? [];
    assert.ok(Number(total) > 300_000 && Number(total) < 400 * 1024, total);
  }),
);

Deno.test("mistakes of the configuration are reported by every command that uses it, without a stack", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-e2e-" });
  try {
    const file = `${folder}/configuration.toml`;
    await Deno.writeTextFile(file, '[hypervisor.qemu]\ndefault_memory = "2G"\nkernel = "none"\n');
    const told = `${file}:2: hypervisor.qemu.default_memory = "2G": must be an integer, not a string`;
    const checked = await kata(["config", "check", file]);
    assert.equal(checked.code, 1);
    assert.match(text(checked), /^error: .*default_memory = "2G"/);
    assert.match(text(checked), /3 mistakes, no warnings\n$/);
    const shown = await kata(["--config", file, "config", "show", "--json"]);
    assert.equal(shown.code, 1);
    assert.ok(shown.stderr.includes(told), shown.stderr);
    assert.equal(JSON.parse(text(shown)).path, file);
    for (
      const args of [["run", "--config", file, "--rootfs", "/", "--", "true"], ["--config", file, "env"]]
    ) {
      const ran = await kata(args);
      assert.notEqual(ran.code, 0);
      assert.ok(ran.stderr.includes(told), ran.stderr);
      assert.doesNotMatch(ran.stderr, /\n {4}at /);
    }
    const both = await kata(["config", "default", "--initrd", "a", "--image", "b"]);
    assert.equal(both.code, 1);
    assert.match(both.stderr, /--initrd and --image exclude each other/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
