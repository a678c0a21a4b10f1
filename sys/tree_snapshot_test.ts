import assert from "node:assert/strict";
import { AT, mknodAt, S } from "./fd.ts";
import {
  BY_PATH,
  CONFINED,
  filePieces,
  inCopyOrder,
  isSameTree,
  TreeChanged,
  treeSnapshot,
  TreeTooLarge,
} from "./tree_snapshot.ts";

const LIMITS = { files: 4, entries: 8, bytes: 100, depth: 2 };

/** A folder of the test's own. */
function folder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "kata-tree-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

Deno.test("a snapshot has files, folders and links as they are, and follows none", async () => {
  using test = folder();
  Deno.mkdirSync(`${test.path}/b`, { mode: 0o750 });
  Deno.writeTextFileSync(`${test.path}/b/file`, "12345", { mode: 0o640 });
  Deno.symlinkSync("/etc", `${test.path}/a`);
  const seen = await treeSnapshot(test.path, LIMITS);
  assert.deepEqual(seen.map(({ path, kind, size, target }) => [path, kind, size, target]), [
    ["", "folder", 0, ""],
    ["a", "link", 0, "/etc"],
    ["b", "folder", 0, ""],
    ["b/file", "file", 5, ""],
  ]);
  assert.deepEqual(seen.slice(2).map(({ mode }) => mode & 0o7777), [0o750, 0o640]);
  assert.ok(isSameTree(seen, await treeSnapshot(test.path, LIMITS)));
  Deno.chmodSync(`${test.path}/b`, 0o700);
  assert.ok(!isSameTree(seen, await treeSnapshot(test.path, LIMITS)), "permissions count");
  await assert.rejects(treeSnapshot(`${test.path}/none`, LIMITS), TreeChanged);
});

Deno.test("a folder that is too large is refused as soon as that is known", async () => {
  for (
    const [what, fill] of [
      [
        "4 files",
        (path: string) => [1, 2, 3, 4, 5].forEach((n) => Deno.writeTextFileSync(`${path}/${n}`, "")),
      ],
      [
        "8 entries",
        (path: string) => [...Array(9).keys()].forEach((n) => Deno.symlinkSync("x", `${path}/${n}`)),
      ],
      ["100 bytes", (path: string) => Deno.writeFileSync(`${path}/file`, new Uint8Array(101))],
      ["2 folders in each other", (path: string) => Deno.mkdirSync(`${path}/a/b/c`, { recursive: true })],
    ] as const
  ) {
    using test = folder();
    fill(test.path);
    await assert.rejects(treeSnapshot(test.path, LIMITS), (error) => {
      assert.ok(error instanceof TreeTooLarge);
      assert.match(error.message, new RegExp(`has more than ${what}$`));
      return true;
    });
  }
});

Deno.test("a volume whose present version is not there yet is being changed", async () => {
  using test = folder();
  Deno.symlinkSync("..2", `${test.path}/..data`);
  await assert.rejects(treeSnapshot(test.path, LIMITS), TreeChanged);
  Deno.mkdirSync(`${test.path}/..2`);
  Deno.writeTextFileSync(`${test.path}/..2/key`, "");
  Deno.symlinkSync("..data/key", `${test.path}/key`);
  const order = inCopyOrder(await treeSnapshot(test.path, LIMITS)).map(({ path }) => path);
  assert.deepEqual(order, ["", "..2", "..2/key", "key", "..data"], "what makes the version count is last");
});

Deno.test("a file is read in pieces, and not if it is another by now", async () => {
  using test = folder();
  const path = `${test.path}/file`;
  Deno.writeTextFileSync(path, "abcde");
  const read = async (entry?: (typeof seen)[number]) => {
    const pieces = [];
    if (entry === undefined) throw new Error("there is no file");
    for await (const { offset, data } of filePieces(test.path, entry, 2)) {
      pieces.push([offset, new TextDecoder().decode(data)]);
    }
    return pieces;
  };
  const seen = await treeSnapshot(test.path, LIMITS);
  assert.deepEqual(await read(seen[1]), [[0, "ab"], [2, "cd"], [4, "e"]]);
  Deno.writeTextFileSync(path, "longer than it was");
  await assert.rejects(read(seen[1]), TreeChanged);
  Deno.removeSync(path);
  Deno.symlinkSync("/etc/passwd", path);
  await assert.rejects(read(seen[1]), TreeChanged, "nothing that a link leads to is read");
  Deno.removeSync(path);
  await assert.rejects(read(seen[1]), TreeChanged);
  Deno.writeTextFileSync(path, "");
  const [, empty] = await treeSnapshot(test.path, LIMITS);
  assert.deepEqual(await read(empty), [[0, ""]]);
});

Deno.test("a folder that becomes a link to another one leads nowhere", async () => {
  using test = folder();
  using outside = folder();
  Deno.mkdirSync(`${test.path}/a`);
  Deno.writeTextFileSync(`${test.path}/a/file`, "inside");
  const seen = await treeSnapshot(test.path, LIMITS, CONFINED);
  const entry = seen.find(({ path }) => path === "a/file");
  assert.ok(entry);
  const read = async () => {
    for await (const { data } of filePieces(test.path, entry, 100, CONFINED)) {
      return new TextDecoder().decode(data);
    }
  };
  assert.equal(await read(), "inside");
  // even if it is the very same file there
  Deno.linkSync(`${test.path}/a/file`, `${outside.path}/file`);
  Deno.renameSync(`${test.path}/a`, `${test.path}/b`);
  Deno.symlinkSync(outside.path, `${test.path}/a`);
  await assert.rejects(read(), TreeChanged);
});

Deno.test("a folder and a link that change places all the time lead nowhere", async () => {
  using test = folder();
  using outside = folder();
  Deno.writeTextFileSync(`${outside.path}/secret`, "");
  Deno.mkdirSync(`${test.path}/a`);
  Deno.symlinkSync(outside.path, `${test.path}/b`);
  let isOver = false;
  const changing = (async () => {
    for (let round = 0; !isOver; round++) {
      Deno.renameSync(`${test.path}/a`, `${test.path}/c`);
      Deno.renameSync(`${test.path}/b`, `${test.path}/a`);
      Deno.renameSync(`${test.path}/c`, `${test.path}/b`);
      // at another moment of the look each time, and sometimes not during it
      for (let rest = round % 12; rest >= 0; rest--) await Deno.lstat(test.path);
    }
  })();
  const paths = new Set<string>();
  try {
    const hasBoth = () => paths.has("a") && paths.has("b");
    for (let tries = 0; tries < 300 || (!hasBoth() && tries < 10_000); tries++) {
      const seen = await treeSnapshot(test.path, LIMITS, CONFINED).catch((error) => {
        assert.ok(error instanceof TreeChanged, String(error));
        return [];
      });
      for (const { path } of seen) paths.add(path);
    }
  } finally {
    isOver = true;
    await changing;
  }
  assert.ok(paths.has("a") && paths.has("b"));
  assert.deepEqual([...paths].filter((path) => path.includes("/")), []);
});

Deno.test("what has become a pipe is not opened", async () => {
  using test = folder();
  Deno.writeTextFileSync(`${test.path}/file`, "x");
  const [, entry] = await treeSnapshot(test.path, LIMITS);
  assert.ok(entry);
  Deno.removeSync(`${test.path}/file`);
  mknodAt(AT.FDCWD, `${test.path}/file`, S.IFIFO | 0o600);
  for (const access of [BY_PATH, CONFINED]) {
    await assert.rejects(filePieces(test.path, entry, 100, access).next(), TreeChanged);
  }
});
