/** What a user gets wrong, and what the host lacks: one sentence, an exit code, and nothing left behind. */

import assert from "node:assert/strict";
import { DIST } from "../../tools/paths.ts";
import { kata, onHost } from "./kata_run.ts";
import { ownId } from "./leaks.ts";

/** Runs `true` with a configuration of its own; the keys given are added to the built one's. */
async function withConfig(folder: string, rootfs: string, keys: string) {
  const config = `${folder}/configuration.toml`;
  const base = `kernel = "${DIST}/vmlinux"\ninitrd = "${DIST}/kata-initrd.img"\n`;
  const given = new Set(keys.split("\n").map((line) => line.split("=")[0]?.trim()));
  const kept = base.split("\n").filter((line) => !given.has(line.split("=")[0]?.trim()));
  await Deno.writeTextFile(config, `[hypervisor.qemu]\n${kept.join("\n")}\n${keys}\n`);
  return await kata(["run", "--config", config, "--rootfs", rootfs, "--", "true"]);
}

Deno.test(
  "bad input: arguments of run",
  onHost(async (rootfs, folder) => {
    const table: [string[], number, RegExp][] = [
      [["--rootfs", rootfs], 125, /the command is missing: give it after --/],
      [["--", "true"], 125, /give --rootfs DIR or --bundle DIR/],
      [["--rootfs", rootfs, "--bundle", rootfs, "--", "true"], 125, /exclude each other/],
      [["--rootfs", "/no/such/folder", "--", "true"], 125, /rootfs "\/no\/such\/folder" does not exist/],
      [["--rootfs", `${rootfs}/etc/passwd`, "--", "true"], 125, /passwd" is not a folder/],
      [["--rootfs", rootfs, "--user", "ghost", "--", "true"], 125, /user "ghost" is not in \/etc\/passwd/],
      [["--rootfs", rootfs, "--cwd", "tmp", "--", "true"], 125, /cwd must be an absolute path.*"tmp"/],
      [["--name", "../x", "--rootfs", rootfs, "--", "true"], 125, /name must be 2 to 76.*"\.\.\/x"/],
      [["--memory", "64M", "--rootfs", rootfs, "--", "true"], 125, /memory must be at least 256M.*"64M"/],
      [["--cpus", "0", "--rootfs", rootfs, "--", "true"], 125, /cpus must be a positive number.*"0"/],
      [["--bundle", folder], 125, /cannot read ".*config\.json"/],
      [["--config", "/no/such.toml", "--rootfs", rootfs, "--", "true"], 125, /\/no\/such\.toml/],
    ];
    for (const [args, code, message] of table) {
      const ran = await kata(["run", ...args]);
      assert.match(ran.stderr, message, args.join(" "));
      assert.equal(ran.code, code, args.join(" "));
      assert.doesNotMatch(ran.stderr, /\n\s+at /, "no stack trace");
    }
  }),
);

Deno.test(
  "bad input: config.json of a bundle, by JSON path and value",
  onHost(async (rootfs, folder) => {
    const good = {
      ociVersion: "1.0.2",
      process: { args: ["true"], cwd: "/", user: { uid: 0, gid: 0 } },
      root: { path: rootfs },
      linux: {},
    };
    const table: [unknown, RegExp][] = [
      ["not an object", /config\.json/],
      [{ ...good, process: { ...good.process, args: [] } }, /process\.args.*\[\]/],
      [{ ...good, process: { ...good.process, cwd: "relative" } }, /process\.cwd.*"relative"/],
      [{ ...good, process: { ...good.process, user: { uid: -1, gid: 0 } } }, /process\.user\.uid.*-1/],
      [{ ...good, mounts: [{ destination: 5 }] }, /mounts\[0\]\.destination.*5/],
      [{ ...good, linux: { namespaces: [{ type: "warp" }] } }, /linux\.namespaces\[0\]\.type.*"warp"/],
    ];
    for (const [spec, message] of table) {
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(spec));
      const ran = await kata(["run", "--bundle", folder]);
      assert.match(ran.stderr, message);
      assert.equal(ran.code, 125);
    }
    await Deno.writeTextFile(`${folder}/config.json`, '{"ociVersion": ');
    const ran = await kata(["run", "--bundle", folder]);
    assert.equal(ran.code, 125);
    assert.match(ran.stderr, /config\.json/);
  }),
);

Deno.test(
  "bad input: what the configuration points to is missing or broken",
  onHost(async (rootfs, folder) => {
    await Deno.writeTextFile(`${folder}/text`, "this is not a program\n");
    await Deno.writeTextFile(`${folder}/fails`, "#!/bin/sh\necho it breaks here >&2\nexit 3\n");
    await Deno.chmod(`${folder}/fails`, 0o755);
    const table: [string, RegExp][] = [
      ['kernel = "/no/kernel"', /kernel.*\/no\/kernel/],
      ['initrd = "/no/initrd"', /initrd.*\/no\/initrd/],
      ['path = "/no/qemu"', /path.*\/no\/qemu/],
      ['virtio_fs_daemon = "/no/virtiofsd"', /virtio_fs_daemon.*\/no\/virtiofsd/],
      [`path = "${folder}/fails"`, /it breaks here/],
      [`virtio_fs_daemon = "${folder}/fails"`, /it breaks here|virtiofsd/],
      [`kernel = "${folder}/text"`, /kernel/i],
      ['accelerator = "kvm"', /kvm/i],
      ['accelerator = "warp"', /accelerator.*"warp".*kvm/],
      ['shared_fs = "nfs"', /shared_fs.*"nfs"/],
    ];
    for (const [keys, message] of table) {
      const ran = await withConfig(folder, rootfs, keys);
      assert.match(ran.stderr, message, `${keys}: ${ran.stderr}`);
      assert.equal(ran.code, 125, `${keys}: ${ran.stderr}`);
      assert.doesNotMatch(ran.stderr, /\n\s+at .*\.(ts|js):/, "no stack trace");
    }
  }),
);

Deno.test(
  "bad input: a guest kernel that panics ends the run with the console's last lines",
  onHost(async (rootfs, folder) => {
    // an initrd without an init: the kernel panics when it looks for one
    const empty = `${folder}/empty.img`;
    await Deno.writeFile(empty, new TextEncoder().encode("07070100000000").subarray(0, 6));
    const ran = await withConfig(folder, rootfs, `initrd = "${empty}"`);
    assert.equal(ran.code, 125);
    assert.match(ran.stderr, /Kernel panic|Unable to mount root/i);
  }),
);

Deno.test(
  "bad input: an agent that never answers ends the run within dial_timeout",
  onHost(async (rootfs, folder) => {
    const config = `${folder}/configuration.toml`;
    await Deno.writeTextFile(
      config,
      `[hypervisor.qemu]\nkernel = "${DIST}/vmlinux"\ninitrd = "${DIST}/kata-initrd.img"\n` +
        // the kernel starts something that is not there and waits for ever instead of rebooting
        `kernel_params = "rdinit=/no/such/init init=/no/such/init panic=0 agent.log=debug"\n` +
        `[agent.kata]\ndial_timeout = 12\n`,
    );
    const ran = await kata(["run", "--config", config, "--rootfs", rootfs, "--", "true"], {
      timeoutMs: 120_000,
    });
    assert.equal(ran.code, 125);
    assert.match(ran.stderr, /agent|console/);
  }),
);

Deno.test(
  "bad input: a command that is not there, or is not a program",
  onHost(async (rootfs) => {
    await Deno.writeTextFile(`${rootfs}/bin/plain`, "text\n");
    const table: [string, number, RegExp][] = [
      ["no-such-command", 127, /"no-such-command": executable file not found in \$PATH/],
      ["/bin/plain", 126, /"\/bin\/plain": permission denied/],
    ];
    for (const [command, code, message] of table) {
      const ran = await kata(["run", "--rootfs", rootfs, "--", command]);
      assert.match(ran.stderr, message);
      assert.equal(ran.code, code);
    }
  }),
);

Deno.test(
  "bad input: a name that is in use",
  onHost(async (rootfs) => {
    const { spawnKata } = await import("./kata_run.ts");
    const name = ownId("twice");
    const first = spawnKata([
      "run",
      "--name",
      name,
      "--rootfs",
      rootfs,
      "--",
      "sh",
      "-c",
      "echo up; sleep 600",
    ]);
    const reader = first.stdout.getReader();
    await reader.read();
    const second = await kata(["run", "--name", name, "--rootfs", rootfs, "--", "true"]);
    assert.equal(second.code, 125);
    assert.match(second.stderr, new RegExp(`"${name}" (exists|is in use)`));
    first.kill("SIGTERM");
    await reader.cancel();
    await Promise.all([first.status, first.stderr.cancel()]);
  }),
);
