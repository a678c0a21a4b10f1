import assert from "node:assert/strict";
import { Elf, PT } from "./elf.ts";
import { extractKernel, KernelError, kernelRelease } from "./kernel.ts";
import { bzImage, concat, filter, sampleKernel } from "./testing/samples.ts";

const RELEASE = "6.1.0-18-test";

/** What the kernel's build runs over `vmlinux`, and whether it appends the size. */
const PAYLOADS: [name: string, argv: string[], sized: boolean][] = [
  ["gzip", ["gzip", "-n", "-9"], false],
  ["xz", ["xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB"], true],
  ["zstd", ["zstd", "-q", "-22", "--ultra"], true],
  ["lz4", ["lz4", "-l", "-9", "-q"], true],
];

function sizeOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, bytes.length, true);
  return size;
}

for (const [name, argv, sized] of PAYLOADS) {
  Deno.test(`a kernel compressed with ${name} is taken out of its bzImage, without what stands behind it`, async () => {
    const kernel = await sampleKernel(RELEASE);
    // the tables for relocation stand behind the kernel proper
    const inner = await concat(kernel, new Uint8Array(4000).fill(7));
    const compressed = await filter(argv, inner);
    const payload = sized ? await concat(compressed, sizeOf(inner)) : compressed;
    assert.deepEqual(
      await extractKernel(bzImage(payload), "vmlinuz"),
      await extractKernel(kernel, "vmlinux"),
    );
  });

  Deno.test(`a bzImage whose ${name} data is damaged is refused`, async () => {
    const kernel = await sampleKernel(RELEASE);
    const compressed = await filter(argv, kernel);
    const payload = sized ? await concat(compressed, sizeOf(kernel)) : compressed;
    const cut = await concat(payload.slice(0, payload.length / 2), sizeOf(kernel));
    await assert.rejects(
      extractKernel(bzImage(cut), "/boot/vmlinuz"),
      (error: unknown) =>
        error instanceof KernelError &&
        error.message.startsWith('cannot unpack the kernel in "/boot/vmlinuz": '),
    );
  });
}

Deno.test("a kernel of another size than its bzImage says is refused", async () => {
  const kernel = await sampleKernel(RELEASE);
  const payload = await concat(
    await filter(["xz", "--check=crc32"], kernel),
    new Uint8Array([255, 255, 255, 255]),
  );
  await assert.rejects(
    extractKernel(bzImage(payload), "k"),
    new KernelError(
      `cannot unpack the kernel in "k": the data ends after ${kernel.length} bytes instead of 4294967295`,
    ),
  );
});

/** What a loader makes of an ELF file but for its headers: the content of each address, as text. */
function memory(file: Uint8Array): Map<number, string> {
  const loads = new Elf(file, "kernel").segments.filter((s) => s.type === PT.LOAD && s.offset > 0);
  return new Map(loads.map(({ vaddr, offset, fileSize, memorySize }) => {
    const content = new Uint8Array(memorySize);
    content.set(file.subarray(offset, offset + fileSize));
    return [vaddr, content.toHex()];
  }));
}

Deno.test("a vmlinux is cut down to what is loaded, and loads as before", async () => {
  const kernel = await sampleKernel(RELEASE);
  const part = await extractKernel(kernel, "vmlinux");
  assert.deepEqual(memory(part), memory(kernel));
  assert.ok(part.length + 8 * 4096 <= kernel.length, "eight pages of zeros and the sections are gone");
  assert.equal(new Elf(part, "part").section(".text"), undefined);
  assert.equal(new Elf(part, "part").entry, new Elf(kernel, "kernel").entry);
  assert.deepEqual(await extractKernel(part, "vmlinux"), part);
});

Deno.test("a vmlinux may be compressed as a whole", async () => {
  const kernel = await sampleKernel(RELEASE);
  assert.deepEqual(
    await extractKernel(await filter(["gzip"], kernel), "vmlinux.gz"),
    await extractKernel(kernel, "vmlinux"),
  );
});

Deno.test("the release is read from the banner, not from the format string before it", async () => {
  assert.equal(kernelRelease(await sampleKernel(RELEASE)), RELEASE);
  assert.equal(kernelRelease(new TextEncoder().encode("Linux version %s (%s)")), undefined);
  assert.equal(kernelRelease(new Uint8Array()), undefined);
});

const oldImage = bzImage(new Uint8Array());
new DataView(oldImage.buffer).setUint16(0x206, 0x204, true);
const shortImage = bzImage(new Uint8Array(100));
new DataView(shortImage.buffer).setUint32(0x24c, 1_000_000, true);

const REFUSED: [what: string, file: Uint8Array, message: RegExp][] = [
  ["an empty file", new Uint8Array(), /^"k" is neither a vmlinuz \(bzImage\) nor an ELF kernel$/],
  ["a text", new TextEncoder().encode("not a kernel".repeat(100)), /^"k" is neither a vmlinuz/],
  ["a bzImage of an old protocol", oldImage, /^"k" is of boot protocol 0x204, which does not say/],
  ["a bzImage cut short", shortImage, /^"k" ends at byte \d+, before its kernel does$/],
  [
    "a bzImage with something unknown inside",
    bzImage(new Uint8Array(100).fill(0xab)),
    /unknown compression: .* ab ab/,
  ],
];

for (const [what, file, message] of REFUSED) {
  Deno.test(`${what} is refused as a kernel`, async () => {
    await assert.rejects(extractKernel(file, "k"), (error: unknown) => {
      assert.ok(error instanceof KernelError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("a kernel without an entry for direct boot is refused", async () => {
  await assert.rejects(
    extractKernel(await sampleKernel(RELEASE, false), "/boot/vmlinux"),
    new KernelError(
      'the kernel in "/boot/vmlinux" cannot be booted directly: it has no PVH entry point (CONFIG_PVH is not set)',
    ),
  );
});

Deno.test("something compressed that is no ELF file is refused as a kernel", async () => {
  const text = await filter(["gzip"], new TextEncoder().encode("hello"));
  await assert.rejects(extractKernel(text, "k"), new KernelError('"k" does not hold an ELF kernel'));
});
