import assert from "node:assert/strict";
import { rejects, TestAgent } from "./testing/harness.ts";
import { resizeVolume } from "./volume_resize.ts";
import { Code } from "../rpc/errors.ts";
import { statfs } from "../sys/statfs.ts";
import { run } from "../tools/process.ts";

const MIB = 2 ** 20;

/** A file system on a loop device, whose size a test may change. */
class Volume implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #device: string;

  private constructor(folder: string, device: string) {
    this.#folder = folder;
    this.#device = device;
    this.path = `${folder}/mounted`;
  }

  static async make(mkfs: readonly string[], mib: number): Promise<Volume> {
    const folder = await Deno.makeTempDir({ prefix: "kata-volume-" });
    await Deno.writeFile(`${folder}/disk`, new Uint8Array());
    await Deno.truncate(`${folder}/disk`, mib * MIB);
    await run([...mkfs, `${folder}/disk`]);
    const device = (await run(["losetup", "--find", "--show", `${folder}/disk`])).trim();
    await Deno.mkdir(`${folder}/mounted`);
    await run(["mount", device, `${folder}/mounted`]);
    return new Volume(folder, device);
  }

  /** What the host does before it asks. */
  async enlarge(mib: number): Promise<void> {
    await Deno.truncate(`${this.#folder}/disk`, mib * MIB);
    await run(["losetup", "--set-capacity", this.#device]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["umount", this.path]);
    await run(["losetup", "--detach", this.#device]);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

// ext4 asks for more rights than a container's root may have: it grows in the guest, in tests/guest
Deno.test("a volume grows while a file of it is open, once its device has grown", async () => {
  const small = 320;
  await using volume = await Volume.make(["mkfs.xfs", "-q", "-f"], small);
  using file = await Deno.open(`${volume.path}/file`, { create: true, write: true });
  const before = statfs(volume.path);
  const size = BigInt(2 * small * MIB);
  await rejects(
    resizeVolume(volume.path, size, 50),
    Code.FailedPrecondition,
    new RegExp(`has ${small * MIB} bytes, ${size} are asked for: it has to be enlarged on the host first`),
  );
  // the kernel may notice while it is waited for
  const resized = resizeVolume(volume.path, size, 10_000);
  await volume.enlarge(2 * small);
  await resized;
  const after = statfs(volume.path);
  assert.ok(after.blocks > 1.8 * before.blocks, `${before.blocks} → ${after.blocks}`);
  // once more is no error, and less is one
  await resizeVolume(volume.path, size, 50);
  await rejects(
    resizeVolume(volume.path, BigInt(small * MIB), 50),
    Code.FailedPrecondition,
    /cannot shrink: it has \d+ bytes, \d+ are asked for/,
  );
  await file.write(new TextEncoder().encode("still there"));
});

Deno.test("the agent measures and refuses volumes by their paths", async () => {
  await using agent = new TestAgent();
  const { usage, volumeCondition } = await agent.client.getVolumeStats({ volumeGuestPath: agent.base });
  assert.equal(usage.length, 2);
  assert.equal(usage[0]?.total, (usage[0]?.used ?? 0n) + (usage[0]?.available ?? 0n));
  assert.equal(volumeCondition?.message, "OK");
  await rejects(agent.client.getVolumeStats({ volumeGuestPath: "/nowhere" }), Code.Internal, /ENOENT/);
  const size = BigInt(MIB);
  await rejects(agent.client.resizeVolume({ volumeGuestPath: "/nowhere", size }), Code.Internal, /ENOENT/);
  await rejects(
    agent.client.resizeVolume({ volumeGuestPath: "/proc", size }),
    Code.Internal,
    /the file system at "\/proc" cannot be grown: it is neither ext4 nor xfs/,
  );
  await rejects(agent.client.resizeVolume({ volumeGuestPath: "/proc" }), Code.InvalidArgument, /0 bytes/);
});
