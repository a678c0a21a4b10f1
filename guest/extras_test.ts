import assert from "node:assert/strict";
import { buildInitrd } from "./initrd.ts";
import { collectExtras, ExtraError, parseExtra } from "./extras.ts";
import { temporaryFolder } from "./testing/samples.ts";
import { run } from "../tools/process.ts";

Deno.test("a file is named with or without its path in the guest", () => {
  assert.deepEqual(parseExtra("/bin/a"), { source: "/bin/a", target: "/bin/a" });
  assert.deepEqual(parseExtra("b:/bin/sh"), { source: "b", target: "/bin/sh" });
  for (const text of ["", "a", ":/x", "/a:", "/a:b", "/a:/../b", "/a:/", "/a:/b//c", "/a:/b/./c"]) {
    assert.throws(() => parseExtra(text), ExtraError, text);
  }
});

Deno.test("programs come with their libraries, by the name that they were called by, and run from the initrd", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  await Deno.mkdir(`${path}/in/deep`, { recursive: true });
  await Deno.writeTextFile(`${path}/in/deep/text`, "hello\n");
  await Deno.symlink("/usr/bin/env", `${path}/link`);
  const extras = await collectExtras([
    { source: `${path}/link`, target: "/opt/link" },
    { source: `${path}/in`, target: "/opt/in" },
    { source: "/usr/bin/busybox", target: "/bin/sh" },
    { source: "/usr/bin/busybox", target: "/usr/bin/cat" },
  ]);
  const modeOf = (path: string) => {
    const file = extras.get(path);
    return file && "mode" in file ? file.mode : undefined;
  };
  assert.deepEqual([modeOf("/opt/in/deep/text"), modeOf("/opt/link")], [0o644, 0o755]);
  assert.deepEqual(extras.get("/usr/bin/cat"), { link: "/bin/sh" });
  const initrd = buildInitrd({
    executable: new Uint8Array([1]),
    arch: "x86_64",
    libraries: new Map(),
    modules: { release: "1", modules: [], more: [], builtin: new Set() },
    extras,
  });
  await Deno.writeFile(`${path}/initrd`, initrd);
  await Deno.mkdir(`${path}/root`);
  await run(["sh", "-c", `busybox cpio -i < ${path}/initrd`], { cwd: `${path}/root` });
  // nothing but what is in the archive is needed
  assert.equal(await run(["chroot", `${path}/root`, "/opt/link", "-i", "A=1", "/opt/link"]), "A=1\n");
  assert.equal(await run(["chroot", `${path}/root`, "/bin/sh", "-c", "cat /opt/in/deep/text"]), "hello\n");
});

Deno.test("what cannot be put into a guest is named", async () => {
  await using folder = await temporaryFolder();
  const text = `${folder.path}/text`;
  await Deno.writeTextFile(text, "x");
  await assert.rejects(
    collectExtras([{ source: "/nowhere/x", target: "/x" }]),
    { message: 'cannot put "/nowhere/x" into a guest: it does not exist' },
  );
  await assert.rejects(collectExtras([{ source: "/dev/null", target: "/x" }]), /neither a file nor a folder/);
  const twice = [{ source: text, target: "/x" }, { source: "/etc/hostname", target: "/x" }];
  await assert.rejects(
    collectExtras(twice),
    /two files are to be "\/x" in the guest: one is "\/etc\/hostname"/,
  );
  const content = {
    executable: new Uint8Array([1]),
    arch: "x86_64" as const,
    libraries: new Map<string, Uint8Array>(),
    modules: { release: "1", modules: [], more: [], builtin: new Set<string>() },
    extras: await collectExtras([{ source: text, target: "/init" }]),
  };
  assert.throws(() => buildInitrd(content), /"\/init" is a part of every guest/);
});
