/**
 * What a pod's containers find on disks and in memory: root file systems, volumes, raw devices. Each disk is a loop
 * device of this machine.
 *
 * @module
 */

import assert from "node:assert/strict";
import { sandboxOfVolume } from "../../fs/direct_volume.ts";
import type { DeviceRule } from "../../oci/spec.ts";
import { run } from "../../tools/process.ts";
import { until } from "./containerd.ts";
import { kata, text } from "./kata_run.ts";
import { programUnderTest } from "./program.ts";
import { deviceOf, withPod } from "./storage_bench.ts";

const MIB = 1_048_576;
const WATCH = new URL("watch.c", import.meta.url).pathname;

Deno.test("disks behind a SCSI controller: roots, volumes and raw devices of a pod", async (t) => {
  await withPod({ block_device_driver: "virtio-scsi" }, async (pod, bench, rootfs, shim) => {
    await t.step("a container's root is on a disk", async () => {
      const node = await bench.loop(await bench.image("root.img", "ext4", rootfs));
      const script = "echo kept > /root/note; grep ' / ' /proc/self/mountinfo; sync";
      assert.match(await pod.run({ script, disk: { node, fstype: "ext4" } }), / - ext4 \/dev\/sd/);
      assert.equal(await bench.read(node, "root/note"), "kept\n");
    });

    await t.step("a volume of a storage driver belongs to its group, and is this sandbox's", async () => {
      const node = await bench.loop(await bench.image("volume.img", "ext4"));
      const path = `${bench.folder}/pvc`;
      await bench.volume(path, node, "ext4", { fsGroup: "1234" });
      const mounts = [{ destination: "/data", type: "bind", source: path, options: ["rbind"] }];
      const script = "stat -c %g /data; echo persistent > /data/note; grep ' /data ' /proc/self/mountinfo";
      const text = await pod.run({ script, mounts });
      assert.match(text, /^1234\n.* - ext4 \/dev\/sd/);
      assert.throws(() => sandboxOfVolume(path), /no sandbox found/, "nobody uses it any more");
      assert.equal(await pod.run({ script: "cat /data/note", mounts }), "persistent\n");
      assert.equal(await bench.read(node, "note"), "persistent\n");
    });

    await t.step(
      "a volume of a storage driver is measured, and grows, while a container uses it",
      async () => {
        const image = await bench.image("growing.img", "ext4");
        const node = await bench.loop(image);
        const path = `${bench.folder}/growing`;
        await bench.volume(path, node, "ext4", {});
        const mounts = [{ destination: "/data", type: "bind", source: path, options: ["rbind"] }];
        const size = "$(($(stat -f -c %b /data) * $(stat -f -c %S /data)))";
        const script = `until [ ${size} -gt ${50 * MIB} ]; do sleep 0.1; done; echo grown`;
        const running = pod.run({ script, mounts });
        const command = (...args: string[]) =>
          kata(["direct-volume", ...args, "--volume-path", path], { program: programUnderTest() });
        let stats = await command("stats");
        for (let tries = 0; stats.code !== 0; tries++) {
          assert.ok(tries < 300, stats.stderr);
          stats = await command("stats");
        }
        const [bytes, inodes] = JSON.parse(text(stats)).usage;
        assert.ok(bytes.total < 32 * MIB && bytes.used + bytes.available === bytes.total, text(stats));
        assert.deepEqual([bytes.unit, inodes.unit], [1, 2]);

        const early = await command("resize", "--size", String(64 * MIB));
        assert.deepEqual([early.code, /status code: 500/.test(early.stderr)], [1, true], early.stderr);
        await Deno.truncate(image, 64 * MIB);
        await run(["losetup", "--set-capacity", node]);
        const resized = await command("resize", "--size", String(64 * MIB));
        assert.equal(resized.code, 0, resized.stderr);
        assert.equal(await running, "grown\n");
        assert.match((await command("stats")).stderr, /^no sandbox found for /);
      },
    );

    await t.step(
      "a disk that is a device node has the guest's numbers, and no other disk is there",
      async () => {
        const image = await bench.image("raw.img", "ext4");
        const node = await bench.loop(image);
        const devices = [deviceOf(node, "/dev/xvda")];
        const script =
          "stat -c %F /dev/xvda; dd if=/dev/xvda bs=1 skip=1080 count=2 2>/dev/null | od -An -tx1; " +
          "echo written | dd of=/dev/xvda bs=512 seek=2000 conv=fsync 2>/dev/null";
        assert.equal(await pod.run({ script, devices }), "block special file\n 53 ef\n");
        const bytes = await Deno.readFile(image);
        assert.equal(new TextDecoder().decode(bytes.subarray(2000 * 512, 2000 * 512 + 7)), "written");
      },
    );

    await t.step(
      "a disk may be used as the rules for its device say, also one that is read-only",
      async () => {
        const node = await bench.loop(await bench.image("rules.img", "ext4"));
        const fixed = (await run(["losetup", "--find", "--show", "--read-only", `${bench.folder}/raw.img`]))
          .trim();
        try {
          const devices = [deviceOf(node, "/dev/xvda"), deviceOf(fixed, "/dev/xvdb")];
          const rulesFor = (access: string): DeviceRule[] => [
            { allow: false, access: "rwm" },
            ...devices.map(({ major, minor }) => ({ allow: true, type: "b", major, minor, access })),
          ];
          const tries = ["read if=/dev/xvda of=/dev/null", "write if=/dev/zero of=/dev/xvda conv=notrunc"]
            .flatMap((text) => [text, text.replace("xvda", "xvdb")])
            .map((text) =>
              text.replace(/^(\w+) /, (_, name) => `echo ${name} $(dd count=1 `) +
              " 2>&1 | tail -1 | cut -c1-80)"
            )
            .join("; ");
          const outcome = async (rules?: readonly DeviceRule[]) =>
            (await pod.run({ script: tries, devices, resources: rules && { devices: [...rules] } })).trim()
              .split("\n").map((line) => /(not permitted|Read-only|records)/.exec(line)?.[1] ?? line);
          const [may, not, fixedSo] = ["records", "not permitted", "Read-only"];
          assert.deepEqual(await outcome(rulesFor("r")), [may, may, not, not]);
          assert.deepEqual(await outcome(rulesFor("w")), [not, not, may, fixedSo]);
          assert.deepEqual(await outcome([{ allow: false, access: "rwm" }]), [not, not, not, not]);
          assert.deepEqual(await outcome([{ allow: true, type: "a", access: "rwm" }]), [
            may,
            may,
            may,
            fixedSo,
          ]);
        } finally {
          await run(["losetup", "--detach", fixed]);
        }
      },
    );

    await t.step("a disk that the host uses is not given away", async () => {
      const node = await bench.loop(await bench.image("host.img", "ext4"));
      const point = `${bench.folder}/host`;
      await Deno.mkdir(point);
      await run(["mount", node, point]);
      try {
        const devices = [deviceOf(node, "/dev/xvda")];
        assert.equal(await pod.run({ script: "ls /dev | grep -c xvda || true", devices }), "0\n");
        assert.match(
          shim.log,
          /device \\?"\/dev\/xvda\\?" is not in the container: the host has mounted it on/,
        );
      } finally {
        await run(["umount", point]);
      }
    });
  });
});

Deno.test("disks behind PCI bridges, and memory that containers share", async (t) => {
  await withPod({ block_device_driver: "virtio-blk" }, async (pod, bench, rootfs) => {
    await t.step("a file is a disk, of another file system and read-only", async () => {
      const path = await bench.image("file.img", "xfs");
      const options = ["rbind", "ro", "io.katacontainers.fs-opt.block_device=file"];
      const mounts = [{ destination: "/data", type: "bind", source: path, options }];
      const script = "grep ' /data ' /proc/self/mountinfo; touch /data/x 2>&1 || true";
      assert.match(await pod.run({ script, mounts }), / - xfs \/dev\/vd.*ro.*\n.*Read-only file system/s);
    });

    await t.step("one disk for two containers, and its place is free afterwards", async () => {
      const node = await bench.loop(await bench.image("shared.img", "ext4"));
      const path = `${bench.folder}/shared`;
      await bench.volume(path, node, "ext4", {});
      const mounts = [{ destination: "/data", type: "bind", source: path, options: ["rbind"] }];
      const first = pod.run({
        script: "echo first > /data/new && mv /data/new /data/a; while [ ! -e /data/b ]; do sleep 0.1; done",
        mounts,
      });
      const second = pod.run({
        script: "while [ ! -e /data/a ]; do sleep 0.1; done; cat /data/a; touch /data/b",
        mounts,
      });
      assert.deepEqual(await Promise.all([first, second]), ["", "first\n"]);
      const script = "ls /sys/block | grep '^vd'";
      assert.equal(await pod.run({ script }), "vda\n", "no disk but the agent's is left in the machine");
    });

    await t.step(
      "a volume in memory outlives its containers, has its size, and is not the host's",
      async () => {
        const path = bench.memoryVolume;
        const mounts = [{ destination: "/cache", type: "bind", source: path, options: ["rbind"] }];
        await pod.run({ script: "echo warm > /cache/note", mounts });
        const text = await pod.run({
          script: "cat /cache/note; df -m /cache | tail -1 | awk '{print $2}'; stat -c %a /cache",
          mounts,
        });
        assert.equal(text, "warm\n24\n777\n");
        assert.deepEqual(Array.from(Deno.readDirSync(path), ({ name }) => name), ["sub"]);
      },
    );

    await t.step(
      "a volume of huge pages has those of the container's limit, set aside in the guest",
      async () => {
        const mounts = [{ destination: "/huge", type: "bind", source: bench.hugeVolume, options: ["rbind"] }];
        const script =
          "grep HugePages_Total /proc/meminfo | tr -d ' '; grep -o ' /huge hugetlbfs' /proc/mounts";
        await assert.rejects(
          pod.run({ script, mounts }),
          /"\/huge": the container has no limit for its huge pages/,
        );
        const resources = { hugepageLimits: [{ pageSize: "2MB", limit: 4 * MIB }] };
        assert.equal(await pod.run({ script, mounts, resources }), "HugePages_Total:2\n /huge hugetlbfs\n");
      },
    );

    await t.step(
      "a volume on disk is the pod's, with its group, and a part of it is the same part",
      async () => {
        const volume = await bench.diskVolume();
        const at = (source: string) => [{ destination: "/work", type: "bind", source, options: ["rbind"] }];
        await pod.run({ script: "stat -c '%a %g' /work; touch /work/first", mounts: at(volume) });
        const part = at(bench.part(volume));
        assert.equal(
          await pod.run({
            script: "stat -c '%a %g' /work; ls -A /work; echo deep > /work/file",
            mounts: part,
          }),
          "2777 2000\n",
        );
        const whole = await pod.run({
          script: "stat -c '%a %g' /work; cd /work; ls; cat a/b/file; stat -c %g a/b/file; chmod 700 .",
          mounts: at(volume),
        });
        assert.equal(whole, "2777 2000\na\nfirst\ndeep\n2000\n");
        assert.equal(await pod.run({ script: "stat -c %a /work", mounts: at(volume) }), "700\n");
        const inMemory = (
          source: string,
        ) => [{ destination: "/c", type: "bind", source, options: ["rbind"] }];
        await pod.run({ script: "echo x > /c/here", mounts: inMemory(bench.part(bench.memoryVolume)) });
        assert.equal(
          await pod.run({ script: "cat /c/sub/here", mounts: inMemory(bench.memoryVolume) }),
          "x\n",
        );
        assert.deepEqual([...Deno.readDirSync(`${volume}/a/b`)], [], "nothing of it is in the host's folder");
        assert.equal(await Deno.readTextFile(`${rootfs}/local/work/a/b/file`), "deep\n");
        await Deno.remove(`${rootfs}/local`, { recursive: true });
      },
    );

    await t.step(
      "a container is told when its configuration changes, and sees all of the new one",
      async () => {
        const source = await bench.publish("one");
        const mounts = [{ destination: "/config", type: "bind", source, options: ["rbind", "ro"] }];
        const script = "stat -c %a /config/..data/key; touch /config/x 2>&1 | grep -o Read-only; " +
          "timeout 60 /watch /config /config/key two | tee /state/out; " +
          "until [ ! -e /config/..one ]; do sleep 0.1; done; ls -A /config";
        await run(["gcc", "-static", "-o", `${bench.folder}/watch`, WATCH]);
        await Deno.mkdir(`${bench.folder}/state`);
        const bind = (name: string) => ({
          destination: `/${name}`,
          type: "bind",
          source: `${bench.folder}/${name}`,
          options: ["rbind"],
        });
        const running = pod.run({ script, mounts: [...mounts, bind("state"), bind("watch")] });
        await until(
          "the container watches",
          () => Deno.readTextFile(`${bench.folder}/state/out`).then((text) => text !== "", () => false),
        );
        await bench.publish("two");
        assert.equal(await running, "640\nRead-only\nwatching\ntold: two\n..data\n..two\nkey\nother\n");
      },
    );

    await t.step("mounts below a volume are seen, and later ones where that is asked for", async () => {
      const source = `${bench.folder}/spreading`;
      const mountOf = (...options: string[]) => [{ destination: "/host", type: "bind", source, options }];
      const script = "ls /host/now /host/later 2>&1 | tr '\\n' ' '";
      assert.match(await pod.run({ script, mounts: mountOf("rbind", "rprivate") }), /later: .*now: early $/);
      const locked = "touch /host/x /host/now/x 2>&1 | grep -c Read-only";
      assert.equal(await pod.run({ script: locked, mounts: mountOf("rbind", "rprivate", "rro") }), "2\n");
      const wait = "until [ -e /host/later/late ]; do sleep 0.2; done; ls /host/later";
      const following = pod.run({
        script: `ls /host/later; touch /host/seen; ${wait}`,
        mounts: mountOf("rbind", "rslave"),
      });
      await until(
        "the container has looked",
        () => [...Deno.readDirSync(source)].some(({ name }) => name === "seen"),
      );
      await run(["mount", "-t", "tmpfs", "tmpfs", `${source}/later`]);
      await Deno.writeTextFile(`${source}/later/late`, "");
      assert.equal(await following, "late\n");
    });

    await t.step("a volume that cannot be had names itself, and the pod goes on", async () => {
      const mounts = [{
        destination: "/data",
        type: "bind",
        source: `${bench.folder}/gone`,
        options: ["rbind"],
      }];
      await bench.volume(`${bench.folder}/gone`, "/dev/no-such-disk", "ext4", {});
      await assert.rejects(
        pod.run({ script: "true", mounts }),
        /volume ".*\/gone" must be on a block device or in a file: "\/dev\/no-such-disk" is not there/,
      );
      assert.equal(await pod.run({ script: "echo fine" }), "fine\n");
    });
  }, async (bench) => {
    await bench.mountMemoryVolume();
    await bench.mountHugeVolume();
    await bench.mountPart(bench.memoryVolume, "sub");
    await bench.mountPart(await bench.diskVolume(), "a/b");
    await bench.mountSpreading();
  });
});
