import assert from "node:assert/strict";
import { MNT, readMountinfo, umount } from "../sys/mount.ts";
import { mountRootfs, type RootfsMount, unmountRootfs } from "./rootfs.ts";

/** A tmpfs-like folder with layers; nothing may be left mounted below it. */
async function inFolder(use: (folder: string, root: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/dev/shm" });
  for (const path of ["lower1", "lower2", "upper", "work", "source/sub"]) {
    Deno.mkdirSync(`${folder}/${path}`, { recursive: true });
  }
  for (const layer of ["lower1", "lower2", "source"]) {
    Deno.writeTextFileSync(`${folder}/${layer}/${layer}.txt`, layer);
  }
  try {
    await use(folder, `${folder}/bundle/rootfs`);
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

function names(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

const bind = (source: string, ...options: string[]): RootfsMount => ({ type: "bind", source, options });

Deno.test("an overlay is mounted with its layers, and taken away", () =>
  inFolder(async (folder, root) => {
    const options = [
      `workdir=${folder}/work`,
      `upperdir=${folder}/upper`,
      `lowerdir=${folder}/lower1:${folder}/lower2`,
    ];
    const rootfs = await mountRootfs(root, [{ type: "overlay", source: "overlay", options }]);
    assert.equal(rootfs.path, root);
    assert.deepEqual(names(root), ["lower1.txt", "lower2.txt"]);
    Deno.writeTextFileSync(`${root}/new`, "");
    assert.deepEqual(names(`${folder}/upper`), ["new"]);
    await rootfs[Symbol.asyncDispose]();
    await rootfs[Symbol.asyncDispose]();
    assert.deepEqual(names(root), []);
  }));

Deno.test("an overlay of more layers than fit into a page is mounted", () =>
  inFolder(async (folder, root) => {
    const layers = Array.from(
      { length: 60 },
      (_, n) => `${folder}/layers-with-a-long-name-${"x".repeat(60)}/${n}`,
    );
    for (const layer of layers) {
      Deno.mkdirSync(layer, { recursive: true });
      Deno.writeTextFileSync(`${layer}/${layer.split("/").at(-1)}`, "");
    }
    const options = [`lowerdir=${layers.join(":")}`];
    assert.ok(options.join().length > 4096);
    await using _rootfs = await mountRootfs(root, [{ type: "overlay", source: "overlay", options }]);
    assert.equal(names(root).length, 60);
  }));

Deno.test("binds keep what their options do not speak of, and are recursive only if asked", () =>
  inFolder(async (folder, root) => {
    await using _inner = await mountRootfs(`${folder}/source/sub`, [bind(`${folder}/lower1`)]);
    {
      await using _rootfs = await mountRootfs(root, [bind(`${folder}/source`, "rbind", "ro")]);
      assert.deepEqual(names(`${root}/sub`), ["lower1.txt"]);
      assert.throws(() => Deno.writeTextFileSync(`${root}/x`, ""), /os error 30/);
    }
    await using _rootfs = await mountRootfs(root, [bind(`${folder}/source`, "bind", "rw")]);
    assert.deepEqual(names(`${root}/sub`), []);
    Deno.writeTextFileSync(`${root}/x`, "");
  }));

Deno.test("mounts are made in order, below the root too, and links of a layer cannot lead out of it", () =>
  inFolder(async (folder, root) => {
    Deno.symlinkSync(`/${"../".repeat(20)}sub`, `${folder}/source/link`);
    const inside = (target: string): RootfsMount => ({
      type: "tmpfs",
      source: "tmpfs",
      target,
      options: ["size=64k"],
    });
    await using _rootfs = await mountRootfs(root, [
      bind(`${folder}/source`, "rbind"),
      inside("link"),
      inside("/sub"),
    ]);
    assert.deepEqual(mountsBelow(folder), [root, `${root}/sub`, `${root}/sub`]);
  }));

Deno.test("a mount that fails is named, and takes the earlier ones with it", () =>
  inFolder(async (folder, root) => {
    const good = bind(`${folder}/source`, "rbind");
    await assert.rejects(
      mountRootfs(root, [good, { type: "ext4", source: "/dev/nonexistent", options: [] }]),
      { message: `cannot mount ext4 "/dev/nonexistent" on "${root}": ENOENT` },
    );
    await assert.rejects(
      mountRootfs(root, [good, { type: "overlay", source: "overlay", options: ["lowerdir=/nonexistent"] }]),
      /^Error: cannot mount overlay "overlay" on ".*": /,
    );
    await assert.rejects(
      mountRootfs(root, [{ type: "tmpfs", source: "tmpfs", options: ["x".repeat(5000)] }]),
      /^Error: the options of tmpfs "tmpfs" have more than 4095 bytes$/,
    );
    await assert.rejects(mountRootfs(root, [good, bind("/", "idmap")]), /option "idmap" is not supported$/);
    const mapped = { type: "overlay", source: "overlay", options: ["uidmap=0:1000:10", "lowerdir=/"] };
    await assert.rejects(
      mountRootfs(root, [mapped]),
      /other owners \("uidmap=0:1000:10"\), and pods with a user namespace are not supported$/,
    );
    await assert.rejects(mountRootfs(root, [good, { ...good, target: "none" }]), /\/rootfs\/none": ENOENT$/);
  }));

Deno.test("a root is unmounted by its path from a fresh process, however often it was mounted", () =>
  inFolder(async (folder, root) => {
    await mountRootfs(root, [bind(`${folder}/source`), bind(`${folder}/lower1`)]);
    await mountRootfs(root, [bind(`${folder}/lower2`)]);
    unmountRootfs(root);
    unmountRootfs(root);
    unmountRootfs(`${folder}/never/was`);
    assert.deepEqual(names(root), []);
  }));
