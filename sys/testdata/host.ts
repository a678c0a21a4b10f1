// Runs in namespaces of its own.
import assert from "node:assert/strict";
import { closeFd, openFd, readlinkAt } from "../fd.ts";
import { AT, O } from "../abi/file.ts";
import { chroot, CLONE, setHostname, setns, uname, unshare, withNamespace } from "../host.ts";
import { mount, umount } from "../mount.ts";
import { syscall } from "../syscall.ts";
import { tempDir } from "../test_helpers.ts";

setHostname("first");
assert.equal(uname().nodename, "first");
assert.equal(Deno.hostname(), "first");
assert.throws(() => setHostname("x".repeat(65)), { syscall: "sethostname", code: "EINVAL" });

// This thread alone gets another, and finds back.
const link = (kind: string) => readlinkAt(AT.FDCWD, `/proc/thread-self/ns/${kind}`);
const [uts, net] = [link("uts"), link("net")];
const home = openFd("/proc/thread-self/ns/uts", O.RDONLY);
unshare(CLONE.NEWUTS);
setHostname("second");
assert.notEqual(link("uts"), uts);
const away = openFd("/proc/thread-self/ns/uts", O.RDONLY);
setns(home, CLONE.NEWUTS);
assert.equal(link("uts"), uts);
assert.equal(uname().nodename, "first");
assert.equal(withNamespace("uts", away, () => uname().nodename), "second");
assert.throws(() =>
  withNamespace("uts", away, () => {
    throw new Error("inside");
  }), /inside/);
assert.equal(uname().nodename, "first");

// The loopback of a new network namespace has no address yet; ours has not either.
const before = openFd("/proc/thread-self/ns/net", O.RDONLY);
unshare(CLONE.NEWNET);
const inner = link("net");
assert.notEqual(inner, net);
assert.equal(withNamespace("net", before, () => link("net")), net);
assert.equal(link("net"), inner);
for (const fd of [home, away, before]) closeFd(fd);

using folder = tempDir();
mount("none", folder.path, "tmpfs", 0);
Deno.mkdirSync(`${folder.path}/inside`);
const old = openFd("/", O.PATH | O.DIRECTORY);
chroot(folder.path);
assert.deepEqual([...Deno.readDirSync("/")].map(({ name }) => name), ["inside"]);
assert.equal(Deno.cwd(), "/");
// And back, for what is to be cleaned up.
syscall("fchdir", [old]);
chroot(".");
closeFd(old);
umount(folder.path);
