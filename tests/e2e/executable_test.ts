/** One file under several names, and in any folder. */

import assert from "node:assert/strict";
import { DIST } from "../../tools/paths.ts";
import { run } from "../../tools/process.ts";
import { exists } from "../../sys/exists.ts";
import { until } from "./containerd.ts";
import { kata, onHost, text } from "./kata_run.ts";
import { ownId } from "./leaks.ts";

Deno.test(
  "executable: linked under the name of a role, it answers as that role",
  onHost(async (_rootfs, folder) => {
    const answers: [string, string[], RegExp][] = [
      [
        "kata-runtime",
        ["--version"],
        /^kata-runtime +: \d+\.\d+\.\d+\n +commit +: \S+\n +OCI specs: 1\.\d+\.\d+\n$/,
      ],
      ["kata-runtime", ["--version", "--verbose"], /built +: (sealed|compiled)\n/],
      ["kata-runtime", ["help"], /run +run a command in a container/],
      [
        "containerd-shim-kata-v2",
        ["-v"],
        /^Kata Containers containerd shim \(TypeScript\): id: "io\.containerd\.kata\.v2", version: \d+\.\d+\.\d+, commit: /,
      ],
      ["containerd-shim-kata-v2", ["-info"], /io\.containerd\.kata\.v2/],
      ["kata-agent", ["--version"], /^kata-agent +: \d+\.\d+\.\d+/],
      ["kata-monitor", ["--version"], /^kata-monitor +: \d+\.\d+\.\d+/],
    ];
    for (const [name, args, expected] of answers) {
      const program = `${folder}/${name}`;
      await Deno.symlink(`${DIST}/kata`, program).catch(() => {});
      const ran = await kata(args, { program });
      assert.equal(ran.code, 0, `${name} ${args}: ${ran.stderr}`);
      assert.match(text(ran), expected, `${name} ${args}`);
    }
  }),
);

Deno.test(
  "executable: copied alone to another folder with the guest's files, it runs a container",
  onHost(async (rootfs, folder) => {
    const home = `${folder}/elsewhere`;
    await Deno.mkdir(home);
    for (const name of ["kata", "vmlinux", "kata-initrd.img", "configuration.toml"]) {
      await Deno.copyFile(`${DIST}/${name}`, `${home}/${name}`);
    }
    // with nothing of the caller's environment but a PATH: no cache, no home folder
    const program = `${home}/kata`;
    const ran = await kata(["run", "--rootfs", rootfs, "--", "uname", "-s"], {
      program,
      env: { HOME: "/nonexistent", DENO_DIR: "/nonexistent/cache" },
      cwd: "/",
    });
    assert.deepEqual([ran.code, text(ran)], [0, "Linux\n"], ran.stderr);
    const left = [...Deno.readDirSync(home)].map(({ name }) => name).sort();
    assert.deepEqual(
      left,
      ["configuration.toml", "kata", "kata-initrd.img", "vmlinux"],
      "nothing is written beside it",
    );
  }),
);

Deno.test(
  "executable: two runs at the same time do not meet",
  onHost(async (rootfs) => {
    const names = [ownId("left"), ownId("right")];
    const both = await Promise.all(
      names.map((name) => kata(["run", "--name", name, "--rootfs", rootfs, "--", "hostname"])),
    );
    assert.deepEqual(both.map((ran) => [ran.code, text(ran)]), names.map((name) => [0, `${name}\n`]));
  }),
);

Deno.test(
  "executable: explain tells anybody what would be done for a bundle, without privileges and without a guest",
  onHost(async (_rootfs, folder) => {
    const bundle = `${folder}/bundle`;
    await Deno.mkdir(bundle);
    const process = { user: { uid: 0, gid: 0 }, args: ["true"], cwd: "/" };
    const spec = { ociVersion: "1.2.0", process, root: { path: "rootfs" } };
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(spec));
    await run(["chmod", "755", folder]);
    const program = `${folder}/kata`;
    await Deno.copyFile(`${DIST}/kata`, program);
    const asNobody = (...args: string[]) =>
      run(["setpriv", "--reuid=65534", "--clear-groups", program, ...args]);
    assert.match(await asNobody("explain", bundle), /\nchange root: pivot_root\("\.", "\."\)/);
    const json = JSON.parse(await asNobody("explain", "--json", bundle));
    assert.equal(json.steps.at(-1).call, "execve");
    const guest = await asNobody("explain", "--guest", bundle);
    assert.match(guest, /open rootfs \/run\/kata-containers\/shared\/containers\/bundle\/rootfs: /);
    assert.match(guest, /^100: the pod's ipc namespace$/m);
    const wrong = { ...spec, linux: { intelRdt: { closID: "x" } } };
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify(wrong));
    const refused = await kata(["explain", bundle], { program });
    assert.deepEqual([refused.code, text(refused)], [1, ""]);
    assert.match(refused.stderr, /linux\.intelRdt is not supported/);
  }),
);

Deno.test(
  "executable: a shim whose file is replaced while it starts goes on with the program that it is",
  onHost(async (_rootfs, folder) => {
    await Deno.copyFile(`${DIST}/kata`, `${folder}/kata`);
    const script = `exec 3<kata && rm kata && exec /proc/self/fd/3 shim -namespace ${ownId("replaced")} ` +
      `-id ${ownId("replaced")} -address /run/none.sock start`;
    const { code, stdout, stderr } = await new Deno.Command("bash", { args: ["-c", script], cwd: folder })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const [, socket = ""] = /^unix:\/\/(\/.+)$/.exec(new TextDecoder().decode(stdout)) ?? [];
    const pid = Number(await Deno.readTextFile(`${folder}/shim.pid`));
    assert.equal(await Deno.readLink(`/proc/${pid}/exe`), `${folder}/kata (deleted)`);
    Deno.kill(pid, "SIGTERM");
    await until("the server has ended", () => Promise.resolve(!exists(`/proc/${pid}`)));
    await Deno.remove(socket);
  }),
);
