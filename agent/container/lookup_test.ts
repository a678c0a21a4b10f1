import assert from "node:assert/strict";
import { withRoot } from "./facts.ts";
import { homeIn, homeInside, resolveInside, statInside } from "./lookup.ts";

/** Calls `look` with a folder's descriptor; links lead to where `links` says, by path. */
async function inTree(
  links: Record<string, string>,
  look: (root: number, folder: string) => void,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kata-lookup-" });
  try {
    for (const name of ["a/b", "etc"]) Deno.mkdirSync(`${folder}/root/${name}`, { recursive: true });
    for (const [path, target] of Object.entries(links)) Deno.symlinkSync(target, `${folder}/root/${path}`);
    withRoot(`${folder}/root`, (root) => look(root, folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("resolveInside() follows links within the root, as far as there is anything", async () => {
  const links = {
    "a/up": "..",
    "a/abs": "/etc/x",
    "a/out": "../../../../../tmp/y",
    "etc/resolv.conf": "../run/systemd/resolv.conf",
    "loop": "loop",
    "long": "a/./b//",
  };
  await inTree(links, (root) => {
    const cases = [
      ["/new/x", "/new/x"],
      ["/a/up/new", "/new"],
      ["/a/abs", "/etc/x"],
      ["/a/out/z", "/tmp/y/z"],
      ["/etc/resolv.conf", "/run/systemd/resolv.conf"],
      ["/../../x", "/x"],
      ["/new/../other", "/other"],
      ["/loop/x", "/loop/x"],
      ["/long/new", "/a/b/new"],
      ["/", "/"],
    ];
    for (const [path = "", expected] of cases) assert.equal(resolveInside(root, path), expected, path);
  });
});

Deno.test("statInside() sees what the container would", async () => {
  await inTree({ "out": "/outside", "self": "/etc" }, (root, folder) => {
    Deno.mkdirSync(`${folder}/outside`);
    assert.equal(statInside(root, "/out"), undefined);
    assert.equal(statInside(root, "/../outside"), undefined);
    assert.equal(statInside(root, "/self")?.ino, BigInt(Deno.statSync(`${folder}/root/etc`).ino ?? 0));
  });
});

Deno.test("homeInside() reads a passwd file, and nothing else of that name", async () => {
  await inTree({}, (root, folder) => {
    assert.equal(homeInside(root, 0), undefined);
    Deno.writeTextFileSync(`${folder}/root/etc/passwd`, "root:x:0:0::/root:/bin/sh\n");
    assert.equal(homeInside(root, 0), "/root");
  });
  await inTree({ "etc/passwd": "/a" }, (root) => assert.equal(homeInside(root, 0), undefined));
});

Deno.test("homeIn() takes the first line of the user that has a home", () => {
  const passwd =
    "broken\nroot:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:::\nuser:x:1000:1000::/home/u:\n\n::::::\n";
  assert.equal(homeIn(passwd, 0), "/root");
  assert.equal(homeIn(passwd, 1000), "/home/u");
  assert.equal(homeIn(passwd, 5), undefined);
  assert.equal(homeIn("", 0), undefined);
});
