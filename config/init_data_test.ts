import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { readInitData } from "./init_data.ts";
import { BadValue } from "./key.ts";
import { failure, inFolder, load, MINIMAL } from "./test_files.ts";

const ANNOTATION = "io.katacontainers.config.hypervisor.cc_init_data";

const packed = (text: string | Uint8Array) => gzipSync(text).toString("base64");

Deno.test("init data is unpacked, and measured by the algorithm that it names", async () => {
  for (const algorithm of ["sha256", "sha384", "sha512"]) {
    const text = `algorithm = "${algorithm}"\nversion = "0.1.0"\n[data]\n"aa.toml" = '''\nx = 1\n'''\n`;
    const { compressed, digest } = await readInitData(packed(text));
    assert.deepEqual(compressed, new Uint8Array(gzipSync(text)));
    assert.equal(digest.toHex(), createHash(algorithm).update(text).digest("hex"));
  }
  assert.equal((await readInitData(packed('algorithm = "sha256"'))).digest.length, 32);
});

Deno.test("what is no init data is refused in a sentence, and bombs are not unpacked", async () => {
  const bomb = gzipSync(new Uint8Array(50_000_000)).toString("base64");
  const cases: [string, RegExp][] = [
    ["?", /^must be in base64$/],
    ["YQ==", /^must be compressed by gzip$/],
    [packed("algorithm = ").slice(0, 20), /^must be compressed by gzip$/],
    [bomb, /^must have at most 4194304 bytes when it is unpacked$/],
    [packed("algorithm = "), /^must be a TOML document: [^\n]+$/],
    [packed(new Uint8Array([0xff])), /^must be a TOML document: /],
    [packed("x = 1"), /^must have an algorithm, which is "sha256", "sha384" or "sha512": it has none$/],
    [packed('algorithm = "md5"'), /: it is "md5"$/],
    [packed('algorithm = "toString"'), /: it is "toString"$/],
    [packed("algorithm = 256"), /: it is "256"$/],
    [packed('algorithm = "sha256"\ndata = 1'), /^must have a table \[data\] of strings only$/],
    [packed('algorithm = "sha256"\n[data]\nx = 1'), /^must have a table \[data\] of strings only$/],
  ];
  for (const [encoded, message] of cases) {
    await assert.rejects(
      readInitData(encoded),
      (error) => error instanceof BadValue && message.test(error.message),
    );
  }
});

Deno.test("init data is checked with the configuration", async () => {
  const text = `${MINIMAL}enable_annotations = ["^cc_init_data$"]\n`;
  await inFolder({ "configuration.toml": text }, async (dir) => {
    const good = packed('algorithm = "sha256"');
    const { config, warnings } = await load(dir, { annotations: { [ANNOTATION]: good } });
    assert.equal(config.hypervisor.cc_init_data, good);
    assert.deepEqual(warnings, []);
    assert.equal(
      await failure(dir, { annotations: { [ANNOTATION]: "YQ==" } }),
      `annotation: ${ANNOTATION} = "YQ==": must be compressed by gzip`,
    );
  });
});
