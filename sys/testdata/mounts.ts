// Runs in a mount namespace of its own.
import assert from "node:assert/strict";
import { AT, O } from "../abi/file.ts";
import { closeFd, openFd } from "../fd.ts";
import { statFd } from "../file.ts";
import {
  bindMount,
  createMount,
  forgetUnusedNames,
  MNT,
  mount,
  MOUNT_ATTR,
  mountSetattr,
  MOVE_MOUNT,
  moveMount,
  MS,
  OPEN_TREE,
  openTree,
  readMountinfo,
  umount,
} from "../mount.ts";
import { FS_MAGIC, fstatfs, statfs } from "../statfs.ts";
import { tempDir } from "../test_helpers.ts";

using folder = tempDir();
const at = (name: string) => `${folder.path}/${name}`;
const infoOf = (name: string) => readMountinfo().filter(({ mountPoint }) => mountPoint === at(name)).at(-1);
for (const name of ["tmpfs", "bind", "ro", "moved", "new", "tree a"]) Deno.mkdirSync(at(name));

// A new file system, with flags and data.
mount("src", at("tmpfs"), "tmpfs", MS.NOSUID | MS.NODEV, "size=1m,mode=0750");
const tmpfs = infoOf("tmpfs");
assert.equal(tmpfs?.fstype, "tmpfs");
assert.equal(tmpfs.source, "src");
assert.ok(tmpfs.options.includes("nosuid") && tmpfs.options.includes("nodev"));
assert.ok(tmpfs.superOptions.includes("size=1024k"));
assert.equal(Deno.statSync(at("tmpfs")).mode! & 0o777, 0o750);
assert.equal(statfs(at("tmpfs")).type, FS_MAGIC.tmpfs);
assert.equal(statfs(at("tmpfs")).blocks * statfs(at("tmpfs")).blockSize, 1 << 20);

// Its id is that of the files below it.
const file = openFd(at("tmpfs/file"), O.RDWR | O.CREAT, 0o600);
assert.equal(statFd(file).mountId, BigInt(tmpfs.id));
assert.equal(fstatfs(file).type, FS_MAGIC.tmpfs);
assert.throws(() => umount(at("tmpfs")), { code: "EBUSY", subject: at("tmpfs") });
closeFd(file);

// A mount below it, seen by a recursive bind mount only.
Deno.mkdirSync(at("tmpfs/below"));
mount("none", at("tmpfs/below"), "tmpfs", 0);
Deno.writeTextFileSync(at("tmpfs/below/x"), "");
bindMount(at("tmpfs"), at("bind"));
assert.deepEqual([...Deno.readDirSync(at("bind/below"))], []);
Deno.writeTextFileSync(at("bind/written"), "");
umount(at("bind"));
bindMount(at("tmpfs"), at("bind"), { recursive: true });
assert.equal([...Deno.readDirSync(at("bind/below"))].length, 1);
umount(at("bind"), MNT.DETACH);

// Read-only, here and below, while the original stays writable.
bindMount(at("tmpfs"), at("ro"), { recursive: true, readonly: true });
for (const name of ["ro/y", "ro/below/y"]) {
  assert.throws(() => openFd(at(name), O.CREAT | O.WRONLY, 0o600), { code: "EROFS" });
}
closeFd(openFd(at("tmpfs/below/y"), O.CREAT | O.WRONLY, 0o600));
assert.ok(infoOf("ro")?.options.includes("ro"));
assert.ok(infoOf("ro")?.options.includes("nosuid"), "the flags of the source are kept");
umount(at("ro"), MNT.DETACH);
bindMount(at("tmpfs"), at("ro"), { readonly: true });
assert.deepEqual([...Deno.readDirSync(at("ro/below"))], []);
umount(at("ro"));

// If the target is missing nothing stays behind.
const mounts = readMountinfo().length;
assert.throws(() => bindMount(at("tmpfs"), at("missing"), { readonly: true }), { code: "ENOENT" });
assert.equal(readMountinfo().length, mounts);

// A single file.
Deno.writeTextFileSync(at("target"), "");
Deno.writeTextFileSync(at("source"), "content");
bindMount(at("source"), at("target"), { readonly: true });
assert.equal(Deno.readTextFileSync(at("target")), "content");
umount(at("target"), MNT.NOFOLLOW);

// A detached tree, put where a descriptor says; a name with a blank.
const tree = openTree(AT.FDCWD, at("tmpfs"), OPEN_TREE.CLONE | AT.RECURSIVE);
const target = openFd(at("tree a"), O.PATH | O.DIRECTORY);
moveMount(tree, "", target, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH);
closeFd(tree);
closeFd(target);
assert.equal(infoOf("tree a")?.fstype, "tmpfs");

// Attributes and propagation, of the whole tree at once.
mountSetattr(AT.FDCWD, at("tree a"), {
  set: MOUNT_ATTR.NOEXEC | MOUNT_ATTR.NOATIME,
  clear: MOUNT_ATTR.NOSUID | MOUNT_ATTR.ATIME,
  propagation: MS.SHARED,
}, AT.RECURSIVE);
for (const name of ["tree a", "tree a/below"]) {
  const info = infoOf(name);
  assert.ok(info, name);
  assert.ok(info.options.includes("noexec") && info.options.includes("noatime"), name);
  assert.ok(!info.options.includes("nosuid"));
  assert.match(info.propagation.join(), /^shared:\d+$/);
}
mount("none", at("tree a"), "", MS.PRIVATE | MS.REC);
assert.deepEqual(infoOf("tree a/below")?.propagation, []);

// Moved, with what is below it.
mount(at("tree a"), at("moved"), "", MS.MOVE);
assert.equal(infoOf("tree a"), undefined);
assert.equal([...Deno.readDirSync(at("moved/below"))].length, 2);

// A mount that is nowhere until it is put in place.
const fresh = createMount(
  "tmpfs",
  [["source", "fresh"], ["size", "64k"], ["mode", "0700"]],
  MOUNT_ATTR.NODEV,
);
assert.equal(infoOf("new"), undefined);
moveMount(fresh, "", AT.FDCWD, at("new"), MOVE_MOUNT.F_EMPTY_PATH);
closeFd(fresh);
assert.equal(infoOf("new")?.source, "fresh");
assert.ok(infoOf("new")?.options.includes("nodev"));
assert.throws(() => createMount("tmpfs", [["no_such_option", "1"]]), {
  message: 'cannot fsconfig "no_such_option=1": EINVAL',
});
const readOnly = createMount("tmpfs", [["ro", true]]);
closeFd(readOnly);
assert.throws(() => createMount("nofs", []), { syscall: "fsopen", code: "ENODEV", subject: "nofs" });

// Nothing is lost with the names that are forgotten.
Deno.writeTextFileSync(at("new/kept"), "content");
const options = infoOf("new");
forgetUnusedNames(at("new"));
assert.equal(Deno.readTextFileSync(at("new/kept")), "content");
assert.deepEqual(infoOf("new"), options);
assert.throws(() => forgetUnusedNames(at("missing")), { syscall: "fspick", code: "ENOENT" });

for (const name of ["new", "moved", "tmpfs"]) umount(at(name), MNT.DETACH);
assert.equal(readMountinfo().filter(({ mountPoint }) => mountPoint.startsWith(folder.path)).length, 0);
