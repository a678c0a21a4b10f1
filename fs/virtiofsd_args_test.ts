import assert from "node:assert/strict";
import { openFilesLimit } from "./open_files.ts";
import { flavorOf, virtiofsdArguments } from "./virtiofsd_args.ts";

const OPTIONS = { sharedDir: "/run/shared", fd: 3, cache: "auto", extraArgs: [] };

Deno.test("flavorOf() tells the two programs apart by their version", () => {
  assert.equal(
    flavorOf("virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright (c) 2003-2022 Fabrice Bellard\n"),
    "c",
  );
  assert.equal(flavorOf("virtiofsd 1.13.2\n"), "rust");
  assert.equal(flavorOf("sh: not found"), undefined);
  assert.equal(flavorOf(""), undefined);
});

Deno.test("virtiofsdArguments() for the Rust program", () => {
  const extraArgs = ["--thread-pool-size=1", "--announce-submounts"];
  assert.deepEqual(virtiofsdArguments({ ...OPTIONS, flavor: "rust", extraArgs }), [
    "--shared-dir=/run/shared",
    "--fd=3",
    "--cache=auto",
    "--thread-pool-size=1",
    "--announce-submounts",
  ]);
});

Deno.test("virtiofsdArguments() for the C program, with the usual extra arguments translated", () => {
  const extraArgs = ["--thread-pool-size=1", "--announce-submounts", "-o", "no_posix_lock"];
  assert.deepEqual(virtiofsdArguments({ ...OPTIONS, flavor: "c", extraArgs, openFiles: 20_000 }), [
    ...["-o", "source=/run/shared", "-o", "cache=auto", "--fd=3", "-f", "--rlimit-nofile=20000"],
    ...["--thread-pool-size=1", "-o", "announce_submounts", "-o", "no_posix_lock"],
  ]);
});

Deno.test("no cache has another name in each program", () => {
  for (const cache of ["none", "never"]) {
    assert.ok(virtiofsdArguments({ ...OPTIONS, flavor: "c", cache }).includes("cache=none"));
    assert.ok(virtiofsdArguments({ ...OPTIONS, flavor: "rust", cache }).includes("--cache=never"));
  }
});

Deno.test("cache modes that a program does not have are refused", () => {
  assert.throws(
    () => virtiofsdArguments({ ...OPTIONS, flavor: "rust", cache: "sometimes" }),
    /^Error: the cache mode of virtio-fs must be one of .*"never".*: it is "sometimes"$/,
  );
  assert.throws(
    () => virtiofsdArguments({ ...OPTIONS, flavor: "c", cache: "metadata" }),
    /has no cache mode "metadata"/,
  );
});

Deno.test("virtiofsd gets a limit of open files only where raising it would fail", () => {
  const limits = (hard: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \n` +
    `Max open files            1024                 ${hard}               files     \n`;
  const status = (capabilities: string) => `Name:\tdeno\nCapEff:\t${capabilities}\n`;
  const all = status("000001ffffffffff"), withoutResource = status("000001fffeffffff");
  assert.equal(openFilesLimit({ limits: limits("20000"), status: withoutResource }), 20_000);
  assert.equal(openFilesLimit({ limits: limits("20000"), status: all }), undefined);
  assert.equal(openFilesLimit({ limits: limits("1048576"), status: withoutResource }), undefined);
  assert.equal(openFilesLimit({ limits: limits("unlimited"), status: withoutResource }), undefined);
});
