import assert from "node:assert/strict";
import {
  addVolume,
  claimVolume,
  DirectVolumeError,
  findVolume,
  releaseVolume,
  removeVolume,
  sandboxOfVolume,
  volumeFolder,
} from "./direct_volume.ts";

const INFO = '{ "volume-type":"block", "device":"/dev/sdf", "fstype":"ext4", "options":["ro"], "more": 1,\n' +
  ' "metadata":{"fsGroup":"1000"} }';

async function withFolder(body: (root: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kata-volumes-" });
  try {
    await body(`${folder}/direct-volumes`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a volume's folder is named after its path", () => {
  assert.equal(volumeFolder("/var/lib/v", "/x"), "/x/L3Zhci9saWIvdg==");
  assert.equal(volumeFolder("/ü?>", "/x"), "/x/L8O8Pz4=");
  assert.equal(volumeFolder("/a~?", "/x"), "/x/L2F-Pw==");
  assert.throws(() => volumeFolder(""), DirectVolumeError);
  assert.throws(() => volumeFolder("/x".repeat(100)), /is too long, it has 200 bytes/);
});

Deno.test("what is to be mounted is kept byte for byte, for root only", async () => {
  await withFolder(async (root) => {
    assert.equal(findVolume("/v", root), undefined);
    assert.equal(findVolume("/x".repeat(100), root), undefined, "any mount is looked for");
    await addVolume("/v", INFO, root);
    const folder = volumeFolder("/v", root);
    assert.equal(await Deno.readTextFile(`${folder}/mountInfo.json`), INFO);
    assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o700);
    assert.equal(((await Deno.stat(`${folder}/mountInfo.json`)).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(findVolume("/v", root), {
      volumeType: "block",
      device: "/dev/sdf",
      fstype: "ext4",
      metadata: { fsGroup: "1000" },
      options: ["ro"],
    });
    await addVolume("/v", "{}", root);
    assert.equal(findVolume("/v", root)?.device, "");
    removeVolume("/v", root);
    removeVolume("/v", root);
    assert.equal(findVolume("/v", root), undefined);
  });
});

Deno.test("one sandbox at a time uses a volume", async () => {
  await withFolder(async (root) => {
    assert.throws(() => sandboxOfVolume("/v", root), {
      message: `open ${volumeFolder("/v", root)}: no such file or directory`,
    });
    await addVolume("/v", INFO, root);
    assert.throws(() => sandboxOfVolume("/v", root), { message: "no sandbox found for /v" });
    await claimVolume("/v", "zebra", root);
    await claimVolume("/v", "zebra", root);
    assert.equal(sandboxOfVolume("/v", root), "zebra");
    await assert.rejects(claimVolume("/v", "ant", root), /"\/v" is used by sandbox "zebra" already/);
    await releaseVolume("/v", "zebra", root);
    await releaseVolume("/v", "zebra", root);
    await claimVolume("/v", "ant", root);
  });
});

Deno.test("what makes no sense is refused, and leaves nothing", async () => {
  await withFolder(async (root) => {
    for (
      const [text, message] of [
        ["", /is not JSON: Unexpected end of JSON input/],
        ["{block}", /is not JSON/],
        ["[]", /must be a JSON object: it is \[\]/],
        ["null", /must be a JSON object/],
        ['{"device":3}', /"device" must be a string: it is 3/],
        ['{"options":["ro",1]}', /"options" must be a list of strings/],
        ['{"options":"ro"}', /"options" must be a list of strings: it is "ro"/],
        ['{"metadata":{"fsGroup":1000}}', /"metadata" must be an object with strings/],
        ['{"metadata":[]}', /"metadata" must be an object with strings: it is \[\]/],
      ] as const
    ) {
      await assert.rejects(addVolume("/v", text, root), message, text);
    }
    assert.throws(() => Deno.statSync(root), Deno.errors.NotFound);
    await Deno.mkdir(root);
    await Deno.writeTextFile(volumeFolder("/v", root), "");
    await assert.rejects(addVolume("/v", INFO, root), {
      message: `${volumeFolder("/v", root)} should be a directory`,
    });
  });
});
