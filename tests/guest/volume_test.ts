import assert from "node:assert/strict";
import { initrdWith, SHELL } from "../e2e/guest_with.ts";
import { run } from "../../tools/process.ts";
import { Guest } from "./harness.ts";

const MIB = 2 ** 20;
const SERIAL = "agent.server_addr=virtio-serial://agent.channel.0";

/** How many bytes of a filesystem a file of its size has at least. */
const USABLE = 0.8;

Deno.test("a volume grows in the guest when its disk has grown, whatever filesystem is on it", async () => {
  await using taken = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "kata-volume-" });
  taken.defer(() => Deno.remove(folder, { recursive: true }));
  const programs = ["mount", "mkdir"].map((name) => ({ source: "/usr/bin/busybox", target: `/bin/${name}` }));
  const initrd = await initrdWith(folder, [...SHELL, ...programs]);
  const guest = taken.use(
    await Guest.boot({
      agentParams: [SERIAL, "agent.debug_console"],
      change: (config) => ({ ...config, initrd, bridges: 1 }),
    }),
  );
  const kernelModules = ["ext4", "xfs"].map((name) => ({ name, parameters: [] }));
  await guest.agent.createSandbox({ sandboxId: "pod", kernelModules });
  for (
    const [type, small, mkfs] of [
      ["ext4", 64, ["mkfs.ext4", "-q", "-F"]],
      ["xfs", 320, ["mkfs.xfs", "-q", "-f"]],
    ] as const
  ) {
    const path = `${folder}/${type}`;
    await Deno.writeFile(path, new Uint8Array());
    await Deno.truncate(path, small * MIB);
    await run([...mkfs, path]);
    const disks = async () => (await guest.shell("cd /sys/block; ls\n")).trim().split("\n");
    const before = await disks();
    const disk = await guest.vm.addDisk({ path, isDevice: false, readonly: false });
    if (disk.address.kind === "scsi") {
      const address = disk.address.address.replace(":", " ");
      // the controller came with the first disk, and its driver comes when the guest has time
      await guest.shell(
        "until ls /sys/class/scsi_host/*/scan; do sleep 0.1; done >/dev/null 2>&1\n" +
          `for s in /sys/class/scsi_host/*/scan; do echo "0 ${address}" >$s; done\n`,
      );
    }
    let name: string | undefined;
    while (name === undefined) name = (await disks()).find((disk) => !before.includes(disk));
    const volumeGuestPath = `/run/volume-${type}`;
    await guest.shell(`mkdir -p ${volumeGuestPath}; mount -t ${type} /dev/${name} ${volumeGuestPath}\n`);
    const total = async () => (await guest.agent.getVolumeStats({ volumeGuestPath })).usage[0]?.total ?? 0n;
    assert.ok(await total() < BigInt(small * MIB));

    const size = BigInt(2 * small * MIB);
    await assert.rejects(
      guest.agent.resizeVolume({ volumeGuestPath, size }),
      /has to be enlarged on the host first/,
    );
    await disk.resize(2 * small * MIB);
    await guest.agent.resizeVolume({ volumeGuestPath, size });
    assert.ok(Number(await total()) > USABLE * 2 * small * MIB, String(await total()));
    await guest.agent.resizeVolume({ volumeGuestPath, size });
    await assert.rejects(
      guest.agent.resizeVolume({ volumeGuestPath, size: BigInt(MIB) }),
      /cannot shrink: it has \d+ bytes/,
    );
  }
});
