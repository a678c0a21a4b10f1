import assert from "node:assert/strict";
import { addBlock } from "./blocks.ts";
import { findGuestSource } from "./guest_source.ts";
import { Installer } from "./installer.ts";
import { MANIFEST, readManifest, UNFINISHED, writeManifest } from "./manifest.ts";
import { undo, withoutPart } from "./uninstall.ts";

/** A folder that stands for a machine. */
function stage(files: Record<string, string> = {}): Disposable & { readonly root: string } {
  const root = Deno.makeTempDirSync({ prefix: "kata-install-" });
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(`${root}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(root + path, text);
  }
  return { root, [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }) };
}

/** Everything below a folder: paths, kinds, modes and contents. */
function listing(folder: string, below = ""): string[] {
  return [...Deno.readDirSync(folder + below)].flatMap(({ name, isDirectory, isSymlink }) => {
    const path = `${below}/${name}`;
    if (isSymlink) return [`${path} -> ${Deno.readLinkSync(folder + path)}`];
    const mode = ((Deno.lstatSync(folder + path).mode ?? 0) & 0o7777).toString(8);
    if (isDirectory) return [`${path}/ ${mode}`, ...listing(folder, path)];
    return [`${path} ${mode} ${Deno.readTextFileSync(folder + path)}`];
  }).sort();
}

const CONFIG = "/etc/containerd/config.toml";
const ORIGINAL = "version = 2\n# mine\n";
const bytes = (text: string) => () => Promise.resolve(new TextEncoder().encode(text));
const without = (text: string) => withoutPart("block", text);

/** An installation of every kind of step; it breaks when `say` does. */
async function installAll(root: string, say: (line: string) => void, program = "program 1"): Promise<void> {
  const manifest = readManifest(root) ?? { version: 1 as const, prefix: "/usr/local", entries: [] };
  const installer = new Installer({ root, dryRun: false, manifest, say });
  installer.begin();
  await installer.file("/usr/local/bin/kata", 0o755, bytes(program));
  installer.link("/usr/local/bin/kata-runtime", "kata");
  await installer.configuration("/etc/kata-containers/configuration.toml", "default = 1\n");
  const current = readIf(root + CONFIG) ?? "";
  await installer.edit(CONFIG, "block", addBlock(without(current) ?? current, "kata = 1"), without);
  await installer.edit("/etc/new.conf", "block", addBlock("", "kata = 2"), without);
}

function readIf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

async function undone(root: string): Promise<string[]> {
  const lines: string[] = [];
  await undo({ root, dryRun: false, say: (line) => lines.push(line) });
  return lines;
}

const quiet = () => {};

Deno.test("what was installed is undone, and the folder is as before", async () => {
  using machine = stage({ [CONFIG]: ORIGINAL, "/usr/bin/other": "x" });
  Deno.chmodSync(machine.root + CONFIG, 0o640);
  const before = listing(machine.root);
  await installAll(machine.root, quiet);
  const during = listing(machine.root);
  assert.ok(during.includes("/usr/local/bin/kata 755 program 1"));
  assert.ok(during.includes("/usr/local/bin/kata-runtime -> kata"));
  assert.equal(Deno.readTextFileSync(machine.root + CONFIG), addBlock(ORIGINAL, "kata = 1"));
  assert.equal((Deno.statSync(machine.root + CONFIG).mode ?? 0) & 0o777, 0o640, "who may read it stays");
  await undone(machine.root);
  assert.deepEqual(listing(machine.root), before);
});

Deno.test("a second time nothing changes, and a newer program replaces the older", async () => {
  using machine = stage({ [CONFIG]: ORIGINAL });
  const before = listing(machine.root);
  await installAll(machine.root, quiet);
  const once = listing(machine.root);
  const lines: string[] = [];
  await installAll(machine.root, (line) => lines.push(line));
  assert.deepEqual(listing(machine.root), once);
  assert.ok(lines.length === 5 && lines.every((line) => line.startsWith("unchanged")), lines.join("\n"));
  await installAll(machine.root, quiet, "program 2");
  assert.equal(Deno.readTextFileSync(`${machine.root}/usr/local/bin/kata`), "program 2");
  await undone(machine.root);
  assert.deepEqual(listing(machine.root), before);
});

Deno.test("wherever an installation breaks off, it is undone completely, or completed", async () => {
  let steps = 0;
  for (let broken = 1; broken <= 20; broken++) {
    using machine = stage({ [CONFIG]: ORIGINAL });
    const before = listing(machine.root);
    let count = 0;
    const attempt = installAll(machine.root, () => {
      if (++count === broken) throw new Error("power cut");
    });
    const failed = await attempt.then(() => false, () => true);
    if (!failed) break;
    steps++;
    using copy = stage();
    await new Deno.Command("cp", { args: ["-a", `${machine.root}/.`, copy.root] }).output();
    await undone(machine.root);
    assert.deepEqual(listing(machine.root), before, `broken at step ${broken}`);
    await installAll(copy.root, quiet);
    await undone(copy.root);
    assert.deepEqual(listing(copy.root), before, `broken at step ${broken}, then completed`);
  }
  assert.ok(steps >= 8, `${steps} steps`);
});

Deno.test("a power cut between a promise and its deed leaves nothing that is not undone", async () => {
  using machine = stage({ [CONFIG]: ORIGINAL });
  const before = listing(machine.root);
  await installAll(machine.root, quiet);
  // the file was promised and written in part, the link promised only, the change not done yet
  Deno.renameSync(`${machine.root}/usr/local/bin/kata`, `${machine.root}/usr/local/bin/kata${UNFINISHED}`);
  Deno.removeSync(`${machine.root}/usr/local/bin/kata-runtime`);
  Deno.writeTextFileSync(machine.root + CONFIG, ORIGINAL);
  Deno.writeTextFileSync(`${machine.root}${MANIFEST}${UNFINISHED}`, "{");
  await undone(machine.root);
  const strip = (lines: string[]) =>
    lines.map((line) => line.replace(/^(\/etc\/containerd\/config.toml) \d+/, "$1"));
  assert.deepEqual(strip(listing(machine.root)), strip(before));
});

Deno.test("what its owner has changed since is kept and named, and our part is taken out of it", async () => {
  using machine = stage({ [CONFIG]: ORIGINAL });
  await installAll(machine.root, quiet);
  const configuration = `${machine.root}/etc/kata-containers/configuration.toml`;
  Deno.writeTextFileSync(configuration, "mine = 1\n");
  Deno.writeTextFileSync(machine.root + CONFIG, `${Deno.readTextFileSync(machine.root + CONFIG)}# later\n`);
  const lines = await undone(machine.root);
  assert.equal(Deno.readTextFileSync(configuration), "mine = 1\n");
  assert.equal(Deno.readTextFileSync(machine.root + CONFIG), `${ORIGINAL}# later\n`);
  assert.ok(lines.includes(`keep      ${configuration} (it was changed since)`), lines.join("\n"));
  assert.ok(lines.includes(`restore   ${machine.root}${CONFIG} (with what was changed since)`));
  assert.ok(lines.some((line) => line.startsWith("keep") && line.includes("(it is not empty)")));
});

Deno.test("what was there before is never taken for ours", async () => {
  const mine = "/etc/kata-containers/configuration.toml";
  using machine = stage({ [mine]: "mine = 1\n", "/usr/local/bin/kata": "another program" });
  const installer = new Installer({
    root: machine.root,
    dryRun: false,
    manifest: { version: 1, prefix: "/usr/local", entries: [] },
    say: quiet,
  });
  assert.deepEqual(installer.foreign(["/usr/local/bin/kata", "/usr/local/bin/x"]), ["/usr/local/bin/kata"]);
  installer.begin();
  await installer.configuration(mine, "default = 1\n");
  await undone(machine.root);
  assert.equal(Deno.readTextFileSync(machine.root + mine), "mine = 1\n");
});

Deno.test("a dry run tells everything and does nothing", async () => {
  using machine = stage({ [CONFIG]: ORIGINAL });
  const before = listing(machine.root);
  const lines: string[] = [];
  const installer = new Installer({
    root: machine.root,
    dryRun: true,
    manifest: { version: 1, prefix: "/usr/local", entries: [] },
    say: (line) => lines.push(line),
  });
  installer.begin();
  const unmade = () => Promise.reject(new Error("content is not made"));
  await installer.file("/usr/local/bin/kata", 0o755, unmade, "made from x");
  installer.link("/usr/local/bin/kata-runtime", "kata");
  await installer.edit(CONFIG, "block", "x", without);
  assert.deepEqual(lines.map((line) => line.replaceAll(machine.root, "").replace(/ +/, " ")), [
    "make /usr",
    "make /usr/local",
    "make /usr/local/bin",
    "write /usr/local/bin/kata (made from x)",
    "link /usr/local/bin/kata-runtime (to kata)",
    "change /etc/containerd/config.toml",
  ]);
  assert.deepEqual(listing(machine.root), before);
});

Deno.test("a manifest that cannot be understood stops everything", async () => {
  using machine = stage({ [MANIFEST]: '{"version": 99}' });
  await assert.rejects(
    undone(machine.root),
    /is not the manifest of an installation that this version can undo/,
  );
  writeManifest(machine.root, { version: 1, prefix: "/x", entries: [] });
  assert.deepEqual(readManifest(machine.root)?.prefix, "/x");
  using empty = stage();
  assert.equal(await undo({ root: empty.root, dryRun: false, say: quiet }), false);
});

Deno.test("the guest is made from what was asked for, what lies beside, the running kernel, or the newest", () => {
  using machine = stage({
    "/boot/vmlinuz-6.1.0-9": "k",
    "/boot/vmlinuz-6.1.0-10": "k",
    "/lib/modules/6.1.0-9/modules.dep": "",
    "/lib/modules/6.1.0-10/modules.dep": "",
    "/lib/modules/6.1.0-11/modules.dep": "",
    "/opt/vmlinux": "k",
    "/opt/kata-initrd.img": "i",
  });
  const { root } = machine;
  const search = { root, beside: [`${root}/nothing`], release: "6.1.0-9", advice: "do this" };
  const boot = (release: string) => ({
    kind: "build",
    kernel: `${root}/boot/vmlinuz-${release}`,
    modules: `${root}/lib/modules/${release}`,
  });
  const named = { kernel: `${root}/opt/vmlinux`, modules: `${root}/opt` };
  assert.deepEqual(findGuestSource({ ...search, ...named }), { kind: "build", ...named });
  assert.throws(() => findGuestSource({ ...search, ...named, kernel: "/k" }), {
    message: '--kernel: there is no file "/k"',
  });
  assert.deepEqual(findGuestSource({ ...search, beside: [`${root}/no`, `${root}/opt`] }), {
    kind: "made",
    folder: `${root}/opt`,
  });
  assert.deepEqual(findGuestSource(search), boot("6.1.0-9"));
  assert.deepEqual(findGuestSource({ ...search, release: "5.0" }), boot("6.1.0-10"));
  assert.throws(() => findGuestSource({ ...search, kernel: "/k" }), /--kernel and --modules belong together/);
  assert.throws(
    () => findGuestSource({ ...search, root: `${root}/opt` }),
    /no kernel to make a guest from.*Install one \(do this\), or give --kernel FILE --modules DIR/,
  );
});
