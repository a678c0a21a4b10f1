/** `install --root`: what becomes of a folder with engines of all kinds, and of an installation that is killed. */

import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { kernelFiles } from "../../tools/guest.ts";
import { DIST } from "../../tools/paths.ts";
import { UNFINISHED } from "../../cmd/runtime/install/manifest.ts";
import { killIfThere } from "./containerd.ts";
import { kata, spawnKata, text } from "./kata_run.ts";

/** A folder with files, and with programs that only tell their version. */
async function staged(files: Record<string, string>, programs: Record<string, string>) {
  const root = await Deno.makeTempDir({ prefix: "kata-stage-" });
  for (const [name, version] of Object.entries(programs)) {
    files = { ...files, [`/usr/bin/${name}`]: `#!/bin/sh\necho '${version}'\n` };
  }
  for (const [path, content] of Object.entries(files)) {
    await Deno.mkdir(`${root}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(root + path, content);
    if (content.startsWith("#!")) await Deno.chmod(root + path, 0o755);
  }
  return { root, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

const CONTAINERD = "/etc/containerd/config.toml";
const DAEMON = "/etc/docker/daemon.json";

const FILES = {
  [CONTAINERD]: "version = 3 # three\nimports = []\n# mine\n",
  [DAEMON]: '{\n\t"debug": true\n}\n',
  "/etc/crio/crio.conf": "",
};
const PROGRAMS = {
  containerd:
    "containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376",
  dockerd: "Docker version 28.5.1, build f8215cc",
  podman: "podman version 5.4.2",
};

async function listing(root: string): Promise<string[]> {
  const find = new Deno.Command("find", { args: [".", "-printf", "%p %y %#m %s %l\\n"], cwd: root });
  const sums = new Deno.Command("sh", { args: ["-c", "find . -type f -exec sha256sum {} +"], cwd: root });
  const outputs = await Promise.all([find.output(), sums.output()]);
  // folders change their size with what was in them
  return outputs.flatMap(({ stdout }) => new TextDecoder().decode(stdout).split("\n"))
    .map((line) => line.replace(/^(\S+ d \d+) \d+/, "$1")).sort();
}

Deno.test("every engine in a staging folder is registered in its own way, from a named kernel, and unregistered again", async () => {
  await using stage = await staged(FILES, PROGRAMS);
  const { root } = stage;
  const before = await listing(root);
  const { kernel, modules } = await kernelFiles();
  const flags = ["--root", root, "--prefix", "/opt/kata", "--kernel", kernel, "--modules", modules];
  const done = await kata(["install", ...flags]);
  assert.equal(done.code, 0, done.stderr);
  const read = (path: string) => Deno.readTextFile(root + path);
  const share = `${root}/opt/kata/share/kata-containers`;
  for (const name of ["vmlinux", "kata-initrd.img"]) {
    const [made, known] = await Promise.all([
      Deno.readFile(`${share}/${name}`),
      Deno.readFile(`${DIST}/${name}`),
    ]);
    assert.ok(
      made.length === known.length && made.every((byte, at) => byte === known[at]),
      `${name} is the same`,
    );
  }
  assert.equal(await Deno.readLink(`${root}/usr/local/bin/containerd-shim-kata-v2`), "/opt/kata/bin/kata");
  assert.match(
    await read("/etc/kata-containers/configuration.toml"),
    /kernel = "\/opt\/kata\/share\/kata-containers\/vmlinux"/,
  );
  const containerd = await read(CONTAINERD);
  assert.ok(containerd.startsWith(FILES[CONTAINERD] ?? "-"));
  assert.match(
    JSON.stringify(parse(containerd)),
    /"io\.containerd\.cri\.v1\.runtime":.*"kata":\{"runtime_type":"io\.containerd\.kata\.v2"/,
  );
  assert.deepEqual(JSON.parse(await read(DAEMON)), {
    debug: true,
    runtimes: { kata: { runtimeType: "io.containerd.kata.v2" } },
  });
  assert.match(
    await read("/etc/crio/crio.conf.d/50-kata.conf"),
    /runtime_path = "\/opt\/kata\/bin\/containerd-shim-kata-v2"/,
  );
  assert.match(text(done), /^Podman: not registered/m);
  const undone = await kata(["uninstall", "--root", root]);
  assert.equal(undone.code, 0, undone.stderr);
  assert.deepEqual(await listing(root), before);
});

Deno.test("an installation that is killed anywhere is undone completely", async () => {
  await using stage = await staged(FILES, PROGRAMS);
  const { root } = stage;
  const before = await listing(root);
  for (const lines of [1, 3, 5, 9, 12]) {
    // whoever kills it may be the slower one, and then tries again
    let isKilled = false;
    for (let tries = 1; !isKilled; tries++) {
      assert.ok(tries <= 10, `it was never killed after ${lines} lines`);
      isKilled = await installAndKill(root, lines);
      const undone = await kata(["uninstall", "--root", root]);
      assert.equal(undone.code, 0, undone.stderr);
      assert.deepEqual(await listing(root), before, `killed after ${lines} lines`);
    }
  }
});

/** Installs, and kills that after some lines of its output. @returns whether it had not ended by then */
async function installAndKill(root: string, lines: number): Promise<boolean> {
  const child = new Deno.Command(`${DIST}/kata`, {
    args: ["install", "--root", root],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let seen = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    seen += part;
    if (seen.split("\n").length <= lines) continue;
    killIfThere(child.pid);
    break;
  }
  const { signal, code } = await child.status;
  assert.ok(signal === "SIGKILL" || code === 0, seen);
  return signal === "SIGKILL";
}

Deno.test("what is in the way is named, and nothing is done", async () => {
  await using stage = await staged({ "/usr/local/bin/kata-runtime": "another program" }, {});
  const { root } = stage;
  const before = await listing(root);
  const table: [string[], RegExp][] = [
    [
      ["install", "--root", root],
      /^\/usr\/local\/bin\/kata-runtime: exists already and was not installed by kata-runtime: move it away/,
    ],
    [["install", "--root", root, "--kernel", "/boot/x"], /^--kernel and --modules belong together/],
    [
      ["install", "--root", root, "--kernel", "/x", "--modules", "/y"],
      /^--kernel: there is no file "\/x"\n$/,
    ],
    [
      ["install", "--root", root, "--kernel", "/etc/passwd", "--modules", "/no"],
      /^--modules: there is no folder "\/no"\n$/,
    ],
    [
      ["install", "--root", root, "--prefix", "opt"],
      /^invalid value "opt" for flag -prefix: must be an absolute path\n$/,
    ],
    [["install", "--root", ""], /^invalid value "" for flag -root: a path must not be empty\n$/],
    [
      ["install", "--root", `${root}/usr/local/bin/kata-runtime`],
      /^cannot make the folder ".*": file exists\n$/,
    ],
    [["install", "--root"], /^flag needs an argument: -root/],
    [["install", "elsewhere"], /^unexpected argument "elsewhere"/],
  ];
  for (const [args, message] of table) {
    const refused = await kata(args);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, message);
  }
  assert.deepEqual(await listing(root), before);
});

Deno.test("a full disk is told with what did not fit, leaves no torn file, and is undone", async () => {
  await using stage = await staged({}, {});
  const { root } = stage;
  const mounted = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=60M", "tmpfs", root] })
    .output();
  assert.ok(mounted.success);
  try {
    const before = await listing(root);
    const full = await kata(["install", "--root", root]);
    assert.equal(full.code, 1);
    assert.equal(
      full.stderr,
      `cannot write "${root}/usr/local/share/kata-containers/kata-initrd.img": no space left on device; ` +
        '"install" goes on from here, "uninstall" undoes what was done\n',
    );
    assert.deepEqual((await listing(root)).filter((line) => line.includes(UNFINISHED)), []);
    const undone = await kata(["uninstall", "--root", root]);
    assert.equal(undone.code, 0, undone.stderr);
    assert.deepEqual(await listing(root), before);
  } finally {
    await new Deno.Command("umount", { args: [root] }).output();
  }
});

Deno.test("of two installations one waits for nothing and says why; a dry run tells what is there", async () => {
  await using stage = await staged({}, {});
  const { root } = stage;
  const first = spawnKata(["install", "--root", root]);
  const reader = first.stdout.getReader();
  await reader.read();
  for (const command of ["install", "uninstall"]) {
    const second = await kata([command, "--root", root]);
    assert.deepEqual([second.code, text(second), second.stderr], [
      1,
      "",
      `another install or uninstall is at work in "${root}": wait until it has ended\n`,
    ]);
  }
  for (let part = await reader.read(); !part.done;) part = await reader.read();
  await first.stderr.cancel();
  assert.equal((await first.status).code, 0);
  const dry = await kata(["install", "--root", root, "--dry-run"]);
  const [head, ...lines] = text(dry).trimEnd().split("\n");
  assert.equal(head, "nothing is changed; this would be done:");
  assert.ok(lines.length >= 7 && lines.every((line) => line.startsWith("unchanged ")), text(dry));
});
