/**
 * Containers from images: the snapshotter's mounts are made by the shim, and only for its sandbox.
 *
 * @module
 */

import assert from "node:assert/strict";
import { writeConfiguration } from "./configuration.ts";
import { RUNTIME, startContainerd } from "./containerd.ts";
import { IMAGE, makeImage } from "./image.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

Deno.test("a container whose files come by 9p", async () => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    const configuration = writeConfiguration(rootfs.folder, { hypervisor: { shared_fs: "virtio-9p" } });
    await using containerd = await startContainerd({ configuration });
    const script = "mount | grep ' / ' | cut -d' ' -f5; echo written > /root/file; sync";
    const flags = ["--env", "PATH=/bin"];
    const finished = await containerd.runContainer(ownId("plan9"), rootfs.path, ["sh", "-c", script], {
      flags,
    });
    assert.deepEqual(finished, { code: 0, stdout: "9p\n", stderr: "" });
    assert.equal(await Deno.readTextFile(`${rootfs.path}/root/file`), "written\n");
  }
  assert.deepEqual(await leaksSince(before), []);
});

Deno.test("containers from an image", async (t) => {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using containerd = await startContainerd({ configuration: writeConfiguration(rootfs.folder) });
    const archive = await makeImage(rootfs.path, rootfs.folder);

    for (const snapshotter of ["overlayfs", "native"]) {
      await t.step(`with the snapshotter "${snapshotter}"`, async () => {
        await containerd.ctr(["image", "import", "--snapshotter", snapshotter, archive]);
        const id = ownId(`image-${snapshotter}`);
        const script = "pwd; echo new > /tmp/new; cat /tmp/new; mount | grep ' / ' | cut -d' ' -f5";
        const run = (...command: string[]) =>
          containerd.run([
            "run",
            "--rm",
            "--runtime",
            RUNTIME,
            "--snapshotter",
            snapshotter,
            IMAGE,
            id,
            ...command,
          ]);
        assert.deepEqual(await run("sh", "-c", script), {
          code: 0,
          stdout: "/tmp\nnew\nvirtiofs\n",
          stderr: "",
        });
        // what one container wrote another does not see
        assert.equal((await run("ls", "/tmp/new")).code, 1);
      });
    }

    await t.step("files of the host, read-only and not", async () => {
      await Deno.mkdir(`${rootfs.folder}/shared`);
      await Deno.writeTextFile(`${rootfs.folder}/shared/file`, "from the host\n");
      const bind = (
        destination: string,
        mode: string,
      ) => ["--mount", `type=bind,src=${rootfs.folder}/shared,dst=${destination},options=rbind:${mode}`];
      const script =
        "cat /rw/file; echo guest > /rw/made; echo no > /ro/made2; grep -c ' /dev/shm tmpfs ' /proc/mounts";
      const finished = await containerd.run([
        ...["run", "--rm", "--runtime", RUNTIME, ...bind("/rw", "rw"), ...bind("/ro", "ro")],
        ...["--env", "PATH=/bin", "--rootfs", rootfs.path, ownId("binds"), "sh", "-c", script],
      ]);
      assert.equal(finished.stdout, "from the host\n1\n");
      assert.match(finished.stderr, /\/ro\/made2: Read-only file system/);
      assert.equal(await Deno.readTextFile(`${rootfs.folder}/shared/made`), "guest\n");
    });

    await t.step("output into a file", async () => {
      const id = ownId("logged");
      const log = `${rootfs.folder}/log/out`;
      await containerd.ctr([
        ...["run", "-d", "--log-uri", `file://${log}`, "--runtime", RUNTIME, "--env", "PATH=/bin"],
        ...["--rootfs", rootfs.path, id, "sh", "-c", "echo out; echo err >&2"],
      ]);
      await containerd.untilTask(id, "STOPPED");
      assert.deepEqual((await Deno.readTextFile(log)).trim().split("\n").sort(), ["err", "out"]);
      await containerd.ctr(["task", "rm", id]);
      await containerd.ctr(["container", "rm", id]);
    });
  }
  assert.deepEqual(await leaksSince(before), []);
});
