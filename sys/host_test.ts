import assert from "node:assert/strict";
import { closeFd, O, openFd } from "./fd.ts";
import { statFd } from "./file.ts";
import { addEntropy, initModule, prctl, uname, withNamespace } from "./host.ts";
import { randomBytes, run, runModule } from "./test_helpers.ts";

Deno.test("uname tells what the command tells", async () => {
  const { sysname, nodename, release, version, machine } = uname();
  assert.equal(
    [sysname, nodename, release, version, machine].join(" "),
    (await run("uname", ["-snrvm"])).trim(),
  );
});

Deno.test("a module that is none is refused", () => {
  assert.throws(() => initModule(new Uint8Array(100)), { syscall: "init_module" });
  const fd = openFd("/proc/version", O.RDONLY);
  assert.throws(() => initModule(fd, "a=b"), { syscall: "finit_module" });
  closeFd(fd);
});

Deno.test("random bytes are mixed in, of any length", () => {
  for (const length of [1, 3, 4, 512]) addEntropy(randomBytes(length));
});

Deno.test("prctl passes its numbers and result", () => {
  const PR_GET_DUMPABLE = 3;
  const PR_SET_DUMPABLE = 4;
  const before = prctl(PR_GET_DUMPABLE);
  assert.ok([0, 1, 2].includes(before));
  assert.equal(prctl(PR_SET_DUMPABLE, before), 0);
  assert.throws(() => prctl(PR_SET_DUMPABLE, 99), { code: "EINVAL" });
});

Deno.test("a namespace that cannot be entered leaves this one as it was", () => {
  const own = () => {
    const fd = openFd("/proc/thread-self/ns/net", O.RDONLY);
    const { ino } = statFd(fd);
    closeFd(fd);
    return ino;
  };
  const before = own();
  assert.throws(() => withNamespace("net", "/does/not/exist", () => 1), { code: "ENOENT" });
  assert.throws(() => withNamespace("net", "/proc/thread-self/ns/uts", () => 1), {
    syscall: "setns",
    code: "EINVAL",
  });
  assert.throws(() =>
    withNamespace("net", "/proc/thread-self/ns/net", () => {
      throw new Error("inside");
    }), /inside/);
  assert.equal(withNamespace("net", "/proc/thread-self/ns/net", own), before);
  assert.equal(own(), before);
});

Deno.test("host name, namespaces and root folder are changed, in namespaces of their own", async () => {
  assert.equal(await runModule("host.ts", ["unshare", "--mount", "--uts", "--ipc", "--net"]), "");
});
