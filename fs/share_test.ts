import assert from "node:assert/strict";
import { isErrno } from "../sys/errors.ts";
import { MNT, mount, MS, readMountinfo, umount } from "../sys/mount.ts";
import { GUEST_SHARED, removeSharedFolder, SharedFolder } from "./share.ts";

/** A folder with something to share; nothing may be left mounted below it. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  for (const path of ["base", "rootfs/bin", "volume/sub"]) {
    Deno.mkdirSync(`${folder}/${path}`, { recursive: true });
  }
  Deno.writeTextFileSync(`${folder}/rootfs/bin/sh`, "#!");
  Deno.writeTextFileSync(`${folder}/volume/data`, "data");
  try {
    await use(folder);
    assert.deepEqual(mountsBelow(folder), []);
  } finally {
    for (const point of mountsBelow(folder).reverse()) umount(point, MNT.DETACH);
    await Deno.remove(folder, { recursive: true });
  }
}

function mountsBelow(folder: string): string[] {
  return readMountinfo().map(({ mountPoint }) => mountPoint).filter((point) =>
    point.startsWith(`${folder}/`)
  );
}

/** Where the host finds what the guest finds at `guestPath`. */
function exportedPath(share: SharedFolder, guestPath: string): string {
  assert.ok(guestPath.startsWith(`${GUEST_SHARED}/`));
  return share.exported + guestPath.slice(GUEST_SHARED.length);
}

function names(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

const readOnly = (action: () => void) => assert.throws(action, /os error 30/); // EROFS

Deno.test("a container's root appears in what is exported, and can be written there", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    assert.equal(share.exported, `${folder}/base/sb/shared`);
    const guestPath = await share.addRootfs("c1", `${folder}/rootfs`);
    assert.equal(guestPath, `${GUEST_SHARED}/c1/rootfs`);
    Deno.writeTextFileSync(`${exportedPath(share, guestPath)}/new`, "from the guest");
    assert.equal(Deno.readTextFileSync(`${folder}/rootfs/new`), "from the guest");
  }));

Deno.test("nobody can make entries at the top of what is exported", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    await share.addRootfs("c1", `${folder}/rootfs`);
    readOnly(() => Deno.mkdirSync(`${share.exported}/other`));
    readOnly(() => Deno.mkdirSync(`${share.exported}/c1/other`));
  }));

Deno.test("files and folders are shared under a name of their own, read-only where asked", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    const add = (source: string, destination: string, readonly: boolean) =>
      share.addMount("c1", { source: `${folder}/${source}`, destination, readonly });
    const paths = [
      await add("volume/data", "/etc/hosts", false),
      await add("volume/data", "/etc/hosts", true),
      await add("volume", "/data/", true),
      await add("volume", "/", false),
    ];
    for (const path of paths) assert.match(path, /\/c1-[0-9a-f]{16}-(hosts|data|root)$/);
    const [file, fixedFile, fixedFolder, whole] = paths.map((path) => exportedPath(share, path));
    assert.ok(file && fixedFile && fixedFolder && whole);
    Deno.writeTextFileSync(file, "changed");
    assert.equal(Deno.readTextFileSync(fixedFile), "changed");
    readOnly(() => Deno.writeTextFileSync(fixedFile, "x"));
    readOnly(() => Deno.writeTextFileSync(`${fixedFolder}/x`, "x"));
    Deno.writeTextFileSync(`${whole}/x`, "x");
  }));

Deno.test("what a sandbox shares with all its containers is read-only, under its own name", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    await share.addSandboxMounts([]);
    assert.deepEqual(names(share.exported), []);
    await share.addSandboxMounts([`${folder}/volume/`, `${folder}/rootfs/bin/sh`]);
    assert.deepEqual(names(`${share.exported}/sandbox-mounts`), ["sh", "volume"]);
    assert.equal(Deno.readTextFileSync(`${share.exported}/sandbox-mounts/volume/data`), "data");
    readOnly(() => Deno.writeTextFileSync(`${share.exported}/sandbox-mounts/volume/data`, "x"));
    readOnly(() => Deno.writeTextFileSync(`${share.exported}/sandbox-mounts/sh`, "x"));
  }));

Deno.test("a destination's name may be long, and of any characters", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    for (const name of ["x".repeat(250), "é".repeat(120), "日本語".repeat(25), "a b,c:d\\e\nf", ".."]) {
      const mount = { source: `${folder}/volume`, destination: `/${name}`, readonly: false };
      const path = await share.addMount("c".repeat(76), mount);
      assert.equal(Deno.readTextFileSync(`${exportedPath(share, path)}/data`), "data");
    }
  }));

Deno.test("links of a source are followed on the host, and a missing source is an error that leaves nothing", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    Deno.symlinkSync("volume/data", `${folder}/link`);
    const mount = { source: `${folder}/link`, destination: "/d", readonly: true };
    assert.equal(Deno.readTextFileSync(exportedPath(share, await share.addMount("c1", mount))), "data");
    await assert.rejects(
      share.addMount("c2", { ...mount, source: `${folder}/none` }),
      (error) => isErrno(error, "ENOENT"),
    );
    await share.remove("c1");
    assert.deepEqual(names(`${share.path}/mounts`), []);
  }));

Deno.test("what is mounted below a source later does not appear in the guest", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    const path = exportedPath(share, await share.addRootfs("c1", `${folder}/rootfs`));
    mount("tmpfs", `${folder}/rootfs/bin`, "tmpfs", 0);
    try {
      assert.deepEqual(names(`${path}/bin`), ["sh"]);
    } finally {
      umount(`${folder}/rootfs/bin`);
    }
  }));

/** A folder that is a mount whose changes spread, as those of a host with systemd do, with another mount in it. */
async function spreading(folder: string, body: (source: string) => Promise<void>): Promise<void> {
  const source = `${folder}/spreading`;
  Deno.mkdirSync(source);
  using undo = new DisposableStack();
  mount("tmpfs", source, "tmpfs", 0);
  undo.defer(() => umount(source, MNT.DETACH));
  mount("", source, "", MS.SHARED);
  for (const name of ["now", "later"]) Deno.mkdirSync(`${source}/${name}`);
  mount("tmpfs", `${source}/now`, "tmpfs", 0);
  Deno.writeTextFileSync(`${source}/now/file`, "");
  await body(source);
}

Deno.test("a source is shared with what is below it, and with what will be, only if that is asked for", () =>
  inFolder((folder) =>
    spreading(folder, async (source) => {
      await using share = await SharedFolder.prepare("sb", `${folder}/base`);
      const add = async (recursive: boolean, follows: boolean) => {
        const shared = { source, destination: "/d", readonly: false, recursive, follows };
        return exportedPath(share, await share.addMount("c1", shared));
      };
      const [alone, whole, following] = [
        await add(false, false),
        await add(true, false),
        await add(true, true),
      ];
      assert.deepEqual(names(`${alone}/now`), []);
      assert.deepEqual(names(`${whole}/now`), ["file"]);
      mount("tmpfs", `${source}/later`, "tmpfs", 0);
      Deno.writeTextFileSync(`${source}/later/file`, "");
      for (const path of [alone, whole]) assert.deepEqual(names(`${path}/later`), []);
      assert.deepEqual(names(`${following}/later`), ["file"]);
      umount(`${source}/later`);
      assert.deepEqual(names(`${following}/later`), []);
      await share.remove("c1");
      assert.deepEqual(names(`${source}/now`), ["file"], "what is unmounted here stays on the host");
    })
  ));

Deno.test("a container with all of the host's files does not see what other containers are shown", () =>
  inFolder((folder) =>
    spreading(folder, async (source) => {
      await using share = await SharedFolder.prepare("sb", `${source}/base`);
      await share.addRootfs("other", `${folder}/rootfs`);
      const shared = { source, destination: "/host", readonly: true, recursive: true, follows: true };
      const path = exportedPath(share, await share.addMount("c1", shared));
      assert.deepEqual(names(`${path}/now`), ["file"]);
      assert.deepEqual(names(`${share.path}/mounts/other/rootfs`), ["bin"]);
      assert.deepEqual(names(`${path}/base/sb/mounts/other/rootfs`), []);
    })
  ));

Deno.test("remove() takes back one container's, and only that", () =>
  inFolder(async (folder) => {
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    const volume = { source: `${folder}/volume`, destination: "/v", readonly: true };
    await share.addRootfs("c", `${folder}/rootfs`);
    await share.addMount("c", volume);
    await share.addRootfs("c-1", `${folder}/rootfs`);
    const kept = await share.addMount("c-1", volume);
    await share.remove("c");
    await share.remove("c");
    await share.remove("never-added");
    assert.deepEqual(names(share.exported), ["c-1", kept.split("/").at(-1)]);
    assert.deepEqual(names(`${share.exported}/c-1/rootfs`), ["bin"]);
    assert.equal(Deno.readTextFileSync(`${folder}/volume/data`), "data");
    await share.addRootfs("c", `${folder}/rootfs`); // the id can be used again
  }));

Deno.test("disposing takes everything away but what was shared, twice without harm", () =>
  inFolder(async (folder) => {
    const share = await SharedFolder.prepare("sb", `${folder}/base`);
    await share.addRootfs("c1", `${folder}/rootfs`);
    await share.addMount("c1", { source: `${folder}/volume`, destination: "/v", readonly: false });
    await share[Symbol.asyncDispose]();
    await share[Symbol.asyncDispose]();
    assert.deepEqual(names(`${folder}/base`), []);
    assert.deepEqual(names(`${folder}/rootfs`), ["bin"]);
    assert.deepEqual(names(`${folder}/volume`), ["data", "sub"]);
  }));

Deno.test("a folder whose owner is gone is removed by its path, and replaced by prepare()", () =>
  inFolder(async (folder) => {
    const share = await SharedFolder.prepare("sb", `${folder}/base`);
    await share.addRootfs("c1", `${folder}/rootfs`);
    removeSharedFolder(share.path);
    removeSharedFolder(share.path);
    assert.deepEqual(names(`${folder}/base`), []);
    assert.deepEqual(names(`${folder}/rootfs`), ["bin"]);

    const first = await SharedFolder.prepare("sb", `${folder}/base`);
    await first.addRootfs("c1", `${folder}/rootfs`);
    await using second = await SharedFolder.prepare("sb", `${folder}/base`);
    assert.deepEqual(names(second.exported), []);
    assert.deepEqual(names(`${folder}/rootfs`), ["bin"]);
  }));

Deno.test("a base that is reached through a link works, too", () =>
  inFolder(async (folder) => {
    Deno.symlinkSync("base", `${folder}/link`);
    const share = await SharedFolder.prepare("sb", `${folder}/link`);
    await share.addRootfs("c1", `${folder}/rootfs`);
    assert.deepEqual(names(`${share.exported}/c1/rootfs`), ["bin"]);
    removeSharedFolder(`${folder}/link/sb`);
    assert.deepEqual(names(`${folder}/base`), []);
  }));

Deno.test("the mounts spread to a namespace that was made before them, but not through the host's tree", () =>
  inFolder(async (folder) => {
    // As a virtiofsd does: a mount namespace of its own in which everything is a slave.
    mount(folder, folder, "", MS.BIND);
    mount("", folder, "", MS.SHARED);
    await using share = await SharedFolder.prepare("sb", `${folder}/base`);
    const child = new Deno.Command("unshare", {
      args: [
        "--mount",
        "--propagation",
        "slave",
        "sh",
        "-c",
        'echo; read _; ls "$1/c1/rootfs/bin"',
        "sh",
        share.exported,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = child.stdout.getReader();
    await output.read(); // it is in its namespace
    await share.addRootfs("c1", `${folder}/rootfs`);
    const go = child.stdin.getWriter();
    await go.write(new TextEncoder().encode("\n"));
    await go.close();
    const { value } = await output.read();
    assert.equal(new TextDecoder().decode(value), "sh\n");
    await output.cancel();
    assert.equal((await child.status).code, 0);
    await share[Symbol.asyncDispose]();
    umount(folder, MNT.DETACH);
  }));
