/**
 * A pod whose guest sees no files of the host: roots are on disks, everything else is copied.
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../../tools/process.ts";
import { withPod } from "./storage_bench.ts";

const WATCH = new URL("watch.c", import.meta.url).pathname;

Deno.test("a pod without a shared folder", async (t) => {
  const bindAt = (destination: string, source: string, ...options: string[]) => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", ...options],
  });
  await withPod(
    { block_device_driver: "virtio-blk", shared_fs: "none" },
    async (pod, bench, rootfs, shim) => {
      await run(["gcc", "-static", "-o", `${rootfs}/bin/watch-folder`, WATCH]);
      const image = await bench.image("root.img", "ext4", rootfs);
      const disk = { node: await bench.loop(image), fstype: "ext4" };

      await t.step(
        "files and folders are copies, changes stay in the guest, sockets are left out",
        async () => {
          const source = `${bench.folder}/data`;
          await Deno.mkdir(`${source}/below`, { recursive: true });
          await Deno.writeTextFile(`${source}/below/file`, "from the host\n", { mode: 0o640 });
          await Deno.symlink("below/file", `${source}/link`);
          using socket = Deno.listen({ transport: "unix", path: `${bench.folder}/socket` });
          const mounts = [
            bindAt("/data", source),
            bindAt("/fixed", source, "ro"),
            bindAt("/single", `${source}/below/file`),
            bindAt("/socket", `${bench.folder}/socket`),
          ];
          const script =
            "cat /data/link /single; stat -c %a /data/below/file; echo changed > /data/below/file; " +
            "touch /fixed/x 2>&1 | grep -o Read-only; cat /fixed/link; ls -d /socket 2>&1 | grep -o 'No such'; " +
            "grep -c virtiofs /proc/mounts";
          assert.equal(
            await pod.run({ script: `${script} || true`, mounts, disk }),
            "from the host\nfrom the host\n640\nRead-only\nfrom the host\nNo such\n0\n",
          );
          assert.equal(await Deno.readTextFile(`${source}/below/file`), "from the host\n");
          assert.match(shim.log, /"\/socket\\?" is not in the container/);
          assert.ok(socket.addr);
        },
      );

      await t.step("configuration follows the host's, and watchers are told", async () => {
        const source = await bench.publish("one");
        const script = "watch-folder /config /config/key two; cat /config/other; ls /config";
        const watching = Promise.withResolvers<void>();
        const onText = (text: string) => {
          if (text.includes("watching")) watching.resolve();
        };
        const running = pod.run({ script, mounts: [bindAt("/config", source, "ro")], disk, onText });
        await watching.promise;
        await bench.publish("two");
        assert.equal(await running, "watching\ntold: two\ntwo\nkey\nother\n");
      });

      await t.step("a pod's volume is the guest's, for all containers", async () => {
        const mounts = [bindAt("/work", await bench.diskVolume())];
        assert.equal(
          await pod.run({ script: "stat -c '%a %g' /work; echo x > /work/file", mounts, disk }),
          "2777 2000\n",
        );
        assert.equal(await pod.run({ script: "cat /work/file", mounts, disk }), "x\n");
      });

      await t.step(
        "a root that is no disk, and too much to copy, are refused, and the pod goes on",
        async () => {
          await assert.rejects(
            pod.run({ script: "true" }),
            /root file system of container ".*" must be on a disk .*, as shared_fs is "none"/,
          );
          await Deno.writeFile(`${bench.folder}/large`, new Uint8Array());
          await Deno.truncate(`${bench.folder}/large`, 8 * 2 ** 30);
          await assert.rejects(
            pod.run({ script: "true", mounts: [bindAt("/large", `${bench.folder}/large`)], disk }),
            /cannot copy ".*\/large" into the guest: .* has more than \d+ bytes/,
          );
          assert.equal(await pod.run({ script: "echo fine", disk }), "fine\n");
        },
      );
    },
  );
});
