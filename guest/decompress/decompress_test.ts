import assert from "node:assert/strict";
import fc from "fast-check";
import { compressionOf, decompress } from "./decompress.ts";
import { DecompressError } from "./errors.ts";
import { decompressLz4 } from "./lz4.ts";
import { decompressXz } from "./xz.ts";
import { concat, filter as compress } from "../testing/samples.ts";

const PROGRAMS: Record<string, string[]> = {
  "gzip": ["gzip", "-c"],
  "zstd": ["zstd", "-c", "-q"],
  "zstd as kernels use it": ["zstd", "-c", "-q", "-22", "--ultra"],
  "lz4 in the legacy format": ["lz4", "-l", "-c", "-q"],
  "lz4 at its best": ["lz4", "-l", "-c", "-q", "-9"],
  "xz": ["xz", "-c"],
  "xz as kernels use it": ["xz", "-c", "--check=crc32", "--x86", "--lzma2=dict=32MiB"],
  "xz as modules use it": ["xz", "-c", "--check=crc32", "--lzma2=dict=1MiB"],
  "xz without a check": ["xz", "-c", "--check=none"],
  "xz in several blocks": ["xz", "-c", "--block-size=100000", "-T2"],
  "xz with unusual parameters": ["xz", "-c", "--lzma2=lc=0,lp=4,pb=0,dict=64KiB"],
  "xz with other parameters": ["xz", "-c", "--lzma2=lc=4,lp=0,pb=4"],
};

/** Machine code, text, zeros, noise: 1.3 MB in which every kind of match occurs. */
async function sample(): Promise<Uint8Array<ArrayBuffer>> {
  const noise = new Uint8Array(150_000);
  for (let i = 0; i < noise.length; i += 50_000) crypto.getRandomValues(noise.subarray(i, i + 50_000));
  const parts = [
    await Deno.readFile("/usr/bin/env"),
    new Uint8Array(300_000),
    noise,
    await Deno.readFile("/usr/bin/gcc"),
    new TextEncoder().encode("abcabcabcx".repeat(20_000)),
    noise,
  ];
  return await concat(...parts);
}

for (const [name, argv] of Object.entries(PROGRAMS)) {
  Deno.test(`${name} is decompressed`, async () => {
    const original = await sample();
    const result = await decompress(await compress(argv, original));
    assert.equal(result.length, original.length);
    assert.ok(result.every((byte, i) => byte === original[i]), "the content is as before");
  });

  Deno.test(`${name} is decompressed when there is next to nothing`, async () => {
    for (const text of ["", "x", "xyz"]) {
      const compressed = await compress(argv, new TextEncoder().encode(text));
      assert.equal(new TextDecoder().decode(await decompress(compressed)), text);
    }
  });
}

Deno.test("any bytes come back through xz and lz4", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 40 }), async (pieces) => {
      // pieces repeated, so that there is something to find
      const original = new Uint8Array(
        await new Blob([...pieces, ...pieces.toReversed()] as BlobPart[]).arrayBuffer(),
      );
      assert.deepEqual(decompressXz(await compress(["xz", "-c", "--x86", "--lzma2"], original)), original);
      assert.deepEqual(decompressLz4(await compress(["lz4", "-l", "-c", "-q"], original)), original);
    }),
    { numRuns: 25 },
  );
});

Deno.test("broken xz and lz4 data is an error or, without a check, other content; never anything else", async () => {
  const original = (await sample()).subarray(0, 60_000);
  const files = await Promise.all([
    compress(["xz", "-c", "--check=crc32"], original),
    compress(["xz", "-c", "--check=none"], original),
    compress(["lz4", "-l", "-c", "-q"], original),
  ]);
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(),
      (file, changes, cut) => {
        const broken = file.slice(0, cut % 3 === 0 ? cut % file.length : file.length);
        for (const [at, value] of changes) if (broken.length > 0) broken[at % broken.length] = value;
        for (const decoder of [decompressXz, decompressLz4]) {
          try {
            decoder(broken);
          } catch (error) {
            assert.ok(error instanceof DecompressError, `${error}`);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("content that does not match its checksum is refused", async () => {
  for (const check of ["crc32", "crc64"]) {
    const file = await compress(["xz", "-c", `--check=${check}`], new TextEncoder().encode("some text"));
    const at = file.findIndex((_, i) => new TextDecoder().decode(file.subarray(i, i + 9)) === "some text");
    assert.ok(at > 0, "so short a text is stored as it is");
    file[at] = 0x53;
    assert.throws(
      () => decompressXz(file),
      new DecompressError("xz: the content does not match its checksum"),
    );
  }
});

Deno.test("what kernels do not use is refused by name", async () => {
  const text = new TextEncoder().encode("some text");
  const arm = await compress(["xz", "-c", "--arm", "--lzma2"], text);
  assert.throws(() => decompressXz(arm), new DecompressError("xz: filter 0x7 is not supported"));
  const sha = await compress(["xz", "-c", "--check=sha256"], text);
  assert.throws(() => decompressXz(sha), new DecompressError("xz: check of kind 10 is not supported"));
});

Deno.test("data of an unknown kind is refused with its first bytes", async () => {
  assert.equal(compressionOf(new Uint8Array([1, 2, 3])), undefined);
  await assert.rejects(
    decompress(new Uint8Array([1, 2, 255])),
    new DecompressError("unknown compression: the data starts with 01 02 ff"),
  );
  await assert.rejects(
    decompress(new Uint8Array()),
    new DecompressError("unknown compression: the data starts with nothing"),
  );
  await assert.rejects(decompress(new Uint8Array([0x1f, 0x8b, 9])), /^DecompressError: gzip: /);
});
