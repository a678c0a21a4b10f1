import assert from "node:assert/strict";
import { join } from "node:path";
import { mkfifo } from "../sys/file.ts";
import { failure, inFolder, load, MINIMAL } from "./test_files.ts";

/** What can be in a configuration's place without being one, and the sentence about it. */
const NO_FILES: readonly [what: string, make: (path: string) => Promise<void> | void, sentence: string][] = [
  ["a pipe", (path) => mkfifo(path, 0o600), "it is no regular file"],
  ["a device", (path) => Deno.symlink("/dev/zero", path), "it is no regular file"],
  ["a folder", (path) => Deno.mkdir(path), "it is a folder"],
  ["a link to itself", (path) => Deno.symlink(path, path), "its links lead in a circle"],
  ["a link to nothing", (path) => Deno.symlink("/nowhere", path), "it does not exist"],
  [
    "a large file",
    (path) => Deno.writeTextFile(path, `#${" ".repeat(5_000_000)}`),
    "it is larger than 4194304 bytes: it has 5000001",
  ],
];

Deno.test("what is no file is refused with its name, whether main file or drop-in, and is not waited for", async () => {
  for (const [what, make, sentence] of NO_FILES) {
    await inFolder({ "configuration.toml": MINIMAL }, async (dir) => {
      const file = join(dir, "other.toml");
      await make(file);
      const at = what === "a device" ? "/dev/zero" : "DIR/other.toml";
      assert.equal(
        await failure(dir, { explicit: file }),
        `cannot read the configuration file "${at}": ${sentence}`,
        what,
      );
    });
    await inFolder({ "configuration.toml": MINIMAL, "config.d": null }, async (dir) => {
      await make(join(dir, "config.d/a"));
      assert.equal(await failure(dir), `DIR/config.d/a: cannot read the file: ${sentence}`, what);
    });
  }
  await inFolder({ "configuration.toml": MINIMAL, "config.d": "x" }, async (dir) => {
    assert.equal(
      await failure(dir),
      "DIR/config.d: cannot read the folder: it, or what its path leads through, is no folder",
    );
  });
});

Deno.test("files are UTF-8, with or without a mark, and with any ends of lines", async () => {
  for (const change of [(text: string) => `\ufeff${text}`, (text: string) => text.replaceAll("\n", "\r\n")]) {
    await inFolder({ "configuration.toml": change(MINIMAL) }, async (dir) => {
      assert.equal((await load(dir)).config.hypervisor.kernel, join(dir, "vmlinux"));
    });
  }
  const latin = new Uint8Array([...new TextEncoder().encode(`${MINIMAL}# caf`), 0xe9, 0x0a]);
  await inFolder({}, async (dir) => {
    await Deno.writeFile(join(dir, "configuration.toml"), latin);
    assert.equal(
      await failure(dir),
      "DIR/configuration.toml:7: must be UTF-8 text, which this line is not",
    );
  });
});
