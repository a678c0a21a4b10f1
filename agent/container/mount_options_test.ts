/** Every option of a mount, as the container's own mountinfo shows it. */

import assert from "node:assert/strict";
import { mount, umount } from "../../sys/mount.ts";
import { Harness } from "./testing/harness.ts";

/** Options of the mount itself and of its file system at a place, as one word each. */
function optionsAt(mountinfo: string, place: string): string[] {
  const line = mountinfo.split("\n").findLast((line) => line.split(" ")[4] === place);
  assert.ok(line, `${place} in ${mountinfo}`);
  const [front = "", back = ""] = line.split(" - ");
  return [...(front.split(" ")[5] ?? "").split(","), ...(back.split(" ")[2] ?? "").split(",")].sort();
}

/** What an option changes in the options of a tmpfs that has none: [added, removed]. */
const OF_A_TMPFS: readonly (readonly [option: string, added: string[], removed?: string[]])[] = [
  ["defaults", []],
  ["rw", []],
  ["ro", ["ro"], ["rw"]],
  ["suid", []],
  ["nosuid", ["nosuid"]],
  ["dev", []],
  ["nodev", ["nodev"]],
  ["exec", []],
  ["noexec", ["noexec"]],
  ["sync", ["sync"]],
  ["async", []],
  ["dirsync", ["dirsync"]],
  ["atime", []],
  ["noatime", ["noatime"], ["relatime"]],
  ["diratime", []],
  ["nodiratime", ["nodiratime"]],
  ["relatime", []],
  ["norelatime", []],
  ["strictatime", [], ["relatime"]],
  ["nostrictatime", []],
  ["lazytime", ["lazytime"]],
  ["nolazytime", []],
  ["iversion", []],
  ["noiversion", []],
  ["silent", []],
  ["loud", []],
  ["mand", ["mand"]],
  ["nomand", []],
  ["nosymfollow", ["nosymfollow"]],
  ["symfollow", []],
  ["size=64k", ["size=64k"]],
];

Deno.test("every option of a new file system does what its name says", async () => {
  await using harness = new Harness();
  const place = (index: number) => `/m/${index}`;
  const printed = await harness.output("cat /proc/self/mountinfo", (spec) => {
    spec.mounts?.push({ destination: "/m", type: "tmpfs", options: ["mode=755"] });
    for (const [index, [option]] of OF_A_TMPFS.entries()) {
      spec.mounts?.push({ destination: place(index), type: "tmpfs", options: ["mode=755", option] });
    }
  });
  const plain = optionsAt(printed, place(0));
  for (const [index, [option, added, removed = []]] of OF_A_TMPFS.entries()) {
    const expected = [...plain.filter((word) => !removed.includes(word)), ...added];
    // A file system that is read-only only when it has been filled is so by its mount.
    const found = optionsAt(printed, place(index));
    const wanted = option === "ro" ? ["ro", ...plain.filter((word) => word !== "rw"), "rw"] : expected;
    assert.deepEqual(found, wanted.toSorted(), option);
  }
});

/** What an option of a bind does to its mount, and whether to what is mounted below it. */
const OF_A_BIND: readonly (readonly [option: string, added: string[], removed: string[], below: boolean])[] =
  [
    ["ro", ["ro"], ["rw"], false],
    ["nosuid", ["nosuid"], [], false],
    ["nodev", ["nodev"], [], false],
    ["noexec", ["noexec"], [], false],
    ["noatime", ["noatime"], ["relatime"], false],
    ["nodiratime", ["nodiratime"], [], false],
    ["strictatime", [], ["relatime"], false],
    ["nosymfollow", ["nosymfollow"], [], false],
    ["rro", ["ro"], ["rw"], true],
    ["rnosuid", ["nosuid"], [], true],
    ["rnodev", ["nodev"], [], true],
    ["rnoexec", ["noexec"], [], true],
    ["rnoatime", ["noatime"], ["relatime"], true],
    ["rnodiratime", ["nodiratime"], [], true],
    ["rstrictatime", [], ["relatime"], true],
    ["rnorelatime", [], ["relatime"], true],
    ["rnosymfollow", ["nosymfollow"], [], true],
  ];

/** The opposite of each recursive option, on a source that has it. */
const UNDONE: readonly (readonly [flags: number, option: string, word: string])[] = [
  [1, "rrw", "ro"],
  [2, "rsuid", "nosuid"],
  [4, "rdev", "nodev"],
  [8, "rexec", "noexec"],
  [1024, "ratime", "noatime"],
  [1024, "rrelatime", "noatime"],
  [2048, "rdiratime", "nodiratime"],
  [256, "rsymfollow", "nosymfollow"],
];

Deno.test("every option of a bind holds for it, and recursive ones for what is below", async () => {
  await using harness = new Harness();
  const source = `${harness.folder}/source`;
  Deno.mkdirSync(source);
  mount("tmpfs", source, "tmpfs", 0);
  try {
    Deno.mkdirSync(`${source}/sub`);
    mount("tmpfs", `${source}/sub`, "tmpfs", 0);
    try {
      const own = (mountinfo: string, place: string) =>
        mountinfo.split("\n").findLast((line) => line.split(" ")[4] === place)?.split(" ")[5]?.split(",")
          .sort() ?? [];
      const printed = await harness.output("cat /proc/self/mountinfo", (spec) => {
        spec.mounts?.push({ destination: "/plain", source, options: ["rbind"] });
        for (const [option] of OF_A_BIND) {
          spec.mounts?.push({ destination: `/${option}`, source, options: ["rbind", option] });
        }
      });
      const plain = own(printed, "/plain/sub");
      for (const [option, added, removed, below] of OF_A_BIND) {
        const changed = [...plain.filter((word) => !removed.includes(word)), ...added].sort();
        assert.deepEqual(own(printed, `/${option}`), changed, option);
        assert.deepEqual(own(printed, `/${option}/sub`), below ? changed : plain, `${option} below`);
      }
    } finally {
      umount(`${source}/sub`);
    }
  } finally {
    umount(source);
  }
});

Deno.test("what a source has is taken back all the way down", async () => {
  await using harness = new Harness();
  const made: string[] = [];
  try {
    for (const [flags, option] of UNDONE) {
      const source = `${harness.folder}/${option}`;
      Deno.mkdirSync(source);
      mount("tmpfs", source, "tmpfs", flags & ~1);
      made.push(source);
      Deno.mkdirSync(`${source}/sub`);
      mount("tmpfs", `${source}/sub`, "tmpfs", flags & ~1);
      made.push(`${source}/sub`);
    }
    const printed = await harness.output("cat /proc/self/mountinfo", (spec) => {
      for (const [flags, option] of UNDONE) {
        const source = `${harness.folder}/${option}`;
        // What the source does not have by itself, an earlier option gives.
        spec.mounts?.push({
          destination: `/${option}`,
          source,
          options: ["rbind", ...flags === 1 ? ["rro"] : [], option],
        });
      }
    });
    for (const [, option, word] of UNDONE) {
      for (const place of [`/${option}`, `/${option}/sub`]) {
        assert.ok(!optionsAt(printed, place).includes(word), `${option} at ${place}`);
      }
    }
  } finally {
    for (const path of made.reverse()) umount(path);
  }
});
