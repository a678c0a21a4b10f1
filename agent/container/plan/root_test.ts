import assert from "node:assert/strict";
import { closeFd, pipe } from "../../../sys/fd.ts";
import { launch } from "../../../sys/launch.ts";
import { AsyncFd, loopIdle } from "../../../sys/poll.ts";
import { separateMounts } from "./namespaces.ts";
import { borrowRoot, changeRoot, keepRoot, openRootfs, takeRoot } from "./root.ts";
import { Steps } from "./steps.ts";

const CLONE_NEWNS = 0x20000;
const SCRIPT = "busybox ls /; cd ../..; pwd; busybox ls; echo made > /made";

/**
 * What the script prints, in a rootfs below a root that is no mount: there pivot_root answers as on the first root of
 * a machine.
 */
async function inRootBelowFolder(change: (steps: Steps, rootfs: string) => void): Promise<string> {
  const folder = Deno.makeTempDirSync({ prefix: "kata-root-" });
  try {
    for (const path of ["old", "new/bin", "new/proc"]) {
      Deno.mkdirSync(`${folder}/${path}`, { recursive: true });
    }
    Deno.copyFileSync("/usr/bin/busybox", `${folder}/new/bin/busybox`);
    const steps = new Steps();
    const { program } = steps;
    separateMounts(steps);
    program.step("enter folder", "chroot", [program.cstring(folder)]);
    program.step("enter its root", "chdir", [program.cstring("/")]);
    change(steps, "/new");
    const proc = program.cstring("proc");
    program.step("mount proc", "mount", [proc, program.cstring("/proc"), proc, 0, 0]);
    program.step("execute", "execve", [
      program.cstring("/bin/busybox"),
      program.cstrings(["sh", "-c", SCRIPT]),
      program.cstrings(["PATH=/bin"]),
    ]);
    const [read, write] = pipe();
    using reader = new AsyncFd(read);
    const launched = launch(program, { flags: CLONE_NEWNS, fds: new Map([[1, write], [2, write]]) });
    closeFd(write);
    const buffer = new Uint8Array(4096);
    let text = "";
    for (let count; (count = await reader.read(buffer)) > 0;) {
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    await launched.executed();
    await launched.child.wait();
    assert.equal(Deno.readTextFileSync(`${folder}/new/made`), "made\n");
    return text;
  } finally {
    Deno.removeSync(folder, { recursive: true });
    await loopIdle();
  }
}

Deno.test("a root that cannot be pivoted from is covered", async () => {
  const printed = await inRootBelowFolder((steps, rootfs) => changeRoot(steps, takeRoot(steps, rootfs)));
  assert.equal(printed, "bin\nproc\n/\nbin\nproc\n");
});

Deno.test("a root that was lent, and cannot be pivoted from, is covered, too", async () => {
  const printed = await inRootBelowFolder((steps, rootfs) => {
    const root = takeRoot(steps, rootfs);
    const old = borrowRoot(steps, root, openRootfs(steps, rootfs));
    keepRoot(steps, root, old);
  });
  assert.equal(printed, "bin\nproc\n/\nbin\nproc\n");
});
