import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { buildCommandLine } from "../../vm/qemu/command_line.ts";
import { createSandbox } from "../create_sandbox.ts";
import { silentLog } from "../log/log.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { initDataImage, writeInitData } from "./init_data.ts";
import { planMachine } from "./plan.ts";
import { vmConfig } from "./vm_config.ts";

const DOCUMENT = 'algorithm = "sha384"\n[data]\n"x" = "1"\n';
const COMPRESSED = new Uint8Array(gzipSync(DOCUMENT));
const ENCODED = COMPRESSED.toBase64();

Deno.test("the disk says what it is, and how long its document is, in whole blocks", () => {
  for (const length of [0, 1, 495, 496, 497, 2000]) {
    const document = new Uint8Array(length).fill(7);
    const image = initDataImage(document);
    assert.equal(image.length % 512, 0);
    assert.ok(image.length - length - 16 < 512);
    assert.equal(new TextDecoder().decode(image.subarray(0, 8)), "initdata");
    assert.equal(new DataView(image.buffer).getBigUint64(8, true), BigInt(length));
    assert.deepEqual(image.subarray(16, 16 + length), document);
    assert.ok(image.subarray(16 + length).every((byte) => byte === 0));
  }
});

Deno.test("init data is a disk of the guest's, behind its root, and measured with a confidential one", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kata-init-data-" });
  try {
    const initData = await writeInitData(dir, ENCODED);
    assert.equal(initData.digest.toHex(), createHash("sha384").update(DOCUMENT).digest("hex"));
    assert.deepEqual(await Deno.readFile(initData.path), initDataImage(COMPRESSED));
    assert.equal(((await Deno.stat(initData.path)).mode ?? 0) & 0o777, 0o640);
    const config = testConfig();
    Object.assign(config.hypervisor, { initrd: "", image: "/image", disable_image_nvdimm: true });
    Object.assign(config.hypervisor, { confidential_guest: true });
    const host = { arch: "x86_64", sizeOf: () => 512, hasSelinux: () => false, hasFips: () => false };
    const spec = testSpec();
    const machine = vmConfig({
      ...{ id: "s", dir, plan: planMachine(config, spec), spec, config, share: "/s", log: silentLog },
      ...{ initData, host },
    });
    const { args } = buildCommandLine({
      ...{ config: machine, arch: "x86_64", accelerator: "tcg", channel: { kind: "vsock", cid: 3 } },
      ...{ uuid: "0", protection: { kind: "tdx" } },
    });
    const disks = args.filter((_, at) => args[at - 1] === "-drive");
    assert.deepEqual(disks, [
      "id=image-0,file=/image,aio=threads,format=raw,if=none,readonly=on",
      `id=initdata,file=${dir}/initdata.img,aio=threads,format=raw,if=none,readonly=on`,
    ]);
    assert.ok(
      args.includes("virtio-blk-pci,drive=initdata,config-wce=off,share-rw=on,serial=initdata"),
      args.join("\n"),
    );
    assert.ok(
      args.some((arg) => arg.includes(`"mrconfigid":"${initData.digest.toBase64()}"`)),
      args.join("\n"),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a sandbox that is given init data has its disk, and leaves nothing of it", async () => {
  await using host = new FakeHost();
  const config = testConfig();
  Object.assign(config.hypervisor, { cc_init_data: ENCODED });
  const { paths } = host;
  await using sandbox = await createSandbox({
    id: "s1",
    spec: testSpec(),
    config,
    log: silentLog,
    host,
    paths,
  });
  const file = `${paths.vm}/s1/initdata.img`;
  assert.deepEqual(await Deno.readFile(file), initDataImage(COMPRESSED));
  await sandbox[Symbol.asyncDispose]();
  assert.deepEqual(host.left(), []);
});
