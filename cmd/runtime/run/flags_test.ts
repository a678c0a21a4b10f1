import assert from "node:assert/strict";
import { parseCpus, parseEnv, parseMemory, parseMount, parseName, resolveUser } from "./flags.ts";

Deno.test("parseMemory() reads binary sizes as MiB and rounds up", () => {
  const table: [string, number][] = [
    ["256M", 256],
    ["512m", 512],
    ["1G", 1024],
    ["1.5GiB", 1536],
    ["1073741824", 1024],
    ["268435457", 257],
  ];
  for (const [text, mib] of table) assert.equal(parseMemory(text), mib, text);
});

Deno.test("parseMemory() names the value it cannot use", () => {
  for (const text of ["", "lots", "12Q", "-1G", "1G2"]) {
    assert.throws(() => parseMemory(text), {
      message: `memory must be a size such as 512M or 2G: it is "${text}"`,
    });
  }
  assert.throws(() => parseMemory("255M"), { message: 'memory must be at least 256M: it is "255M"' });
});

Deno.test("parseCpus() takes positive numbers up to the host's CPUs", () => {
  assert.equal(parseCpus("0.5"), 0.5);
  assert.equal(parseCpus("1"), 1);
  for (const text of ["", "0", "-1", "NaN", "two", "Infinity"]) {
    assert.throws(() => parseCpus(text), /cpus must be a positive number/, text);
  }
  const tooMany = String(navigator.hardwareConcurrency + 1);
  assert.throws(() => parseCpus(tooMany), /cpus must be at most/);
});

Deno.test("parseEnv() passes NAME=VALUE on and looks NAME up", () => {
  assert.equal(parseEnv("A=b=c"), "A=b=c");
  assert.equal(parseEnv("A="), "A=");
  Deno.env.set("KATA_FLAG_TEST", "here");
  assert.equal(parseEnv("KATA_FLAG_TEST"), "KATA_FLAG_TEST=here");
  Deno.env.delete("KATA_FLAG_TEST");
  assert.throws(() => parseEnv("=x"), /env must be NAME=VALUE or NAME: it is "=x"/);
});

Deno.test("parseName() refuses what could leave a folder", () => {
  assert.equal(parseName("web-1.a_b"), "web-1.a_b");
  for (const name of ["", "a", "..", "a/b", "../x", "-a", "a-", "a..b", "x".repeat(77)]) {
    assert.throws(() => parseName(name), /name must be 2 to 76/, name);
  }
});

Deno.test("parseMount() reads the form of ctr's --mount", () => {
  const dir = Deno.makeTempDirSync();
  try {
    assert.deepEqual(parseMount(`type=bind,src=${dir},dst=/data,options=rbind:ro`), {
      type: "bind",
      source: dir,
      destination: "/data",
      options: ["rbind", "ro"],
    });
    assert.deepEqual(parseMount(`src=${dir},target=/data,ro`).options, ["rbind", "ro"]);
    assert.deepEqual(parseMount("type=tmpfs,dst=/t,options=size=1m:mode=700"), {
      type: "tmpfs",
      source: "tmpfs",
      destination: "/t",
      options: ["size=1m", "mode=700"],
    });
  } finally {
    Deno.removeSync(dir);
  }
});

Deno.test("parseMount() says which part is wrong", () => {
  assert.throws(() => parseMount("type=bind,form=/x,dst=/y"), /"form=\/x" where one of type, src, dst/);
  assert.throws(() => parseMount("type=tmpfs"), /absolute path in the container as dst=/);
  assert.throws(() => parseMount("type=bind,dst=/y"), /needs src= for a bind/);
  assert.throws(
    () => parseMount("src=/no/such/folder,dst=/y"),
    /mount source "\/no\/such\/folder" does not exist/,
  );
});

Deno.test("resolveUser() reads names from the rootfs and never leaves it", () => {
  const rootfs = Deno.makeTempDirSync();
  try {
    Deno.mkdirSync(`${rootfs}/etc`);
    Deno.writeTextFileSync(`${rootfs}/etc/passwd`, "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n");
    Deno.symlinkSync("/etc/group", `${rootfs}/etc/group`);
    assert.deepEqual(resolveUser("web", rootfs), { uid: 33, gid: 34 });
    assert.deepEqual(resolveUser("33", rootfs), { uid: 33, gid: 34 });
    assert.deepEqual(resolveUser("1000", rootfs), { uid: 1000, gid: 0 });
    assert.deepEqual(resolveUser("web:7", rootfs), { uid: 33, gid: 7 });
    assert.throws(() => resolveUser("nobody", rootfs), /user "nobody" is not in \/etc\/passwd of the rootfs/);
    // The link points to itself inside the rootfs, so the host's groups must stay out of reach.
    assert.throws(() => resolveUser("web:root", rootfs), /group "root" is not in \/etc\/group of the rootfs/);
  } finally {
    Deno.removeSync(rootfs, { recursive: true });
  }
});
