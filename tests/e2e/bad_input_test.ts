/**
 * What can be wrong from outside: each is told in a sentence, within a bounded time, and leaves nothing behind.
 *
 * @module
 */

import assert from "node:assert/strict";
import { encodeCpio } from "../../guest/cpio.ts";
import { RpcError } from "../../rpc/errors.ts";
import { type ConfigurationChange, writeConfiguration } from "./configuration.ts";
import { type DirectShim, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

/** Longest that a creation may take to fail, in milliseconds; a boot is part of some. */
const BOUND_MS = 120_000;

interface Files {
  readonly folder: string;
  readonly rootfs: string;
}

/** Creates a container and returns what went wrong. */
async function failure(shim: DirectShim, files: Files, spec: Record<string, unknown> = {}): Promise<string> {
  const { id } = shim;
  const bundle = shim.writeBundle(id, { args: ["true"], rootfs: files.rootfs });
  const path = `${bundle}/config.json`;
  await Deno.writeTextFile(path, JSON.stringify({ ...JSON.parse(await Deno.readTextFile(path)), ...spec }));
  return await messageOf(shim.task.create({ id, bundle }, { timeoutMs: BOUND_MS }));
}

async function messageOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert(error instanceof RpcError, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: "it did not fail" });
}

/** An initrd with nothing but this in it. */
async function initrd({ folder }: Files, init: string | undefined): Promise<string> {
  const path = `${folder}/initrd-${init === undefined ? "empty" : "busybox"}`;
  if (init === undefined) {
    await Deno.writeFile(path, encodeCpio([{ kind: "directory", path: "etc" }]));
    return path;
  }
  const busybox = await Deno.readFile(`${folder}/rootfs/bin/busybox`);
  await Deno.writeFile(
    path,
    encodeCpio([
      { kind: "directory", path: "dev" },
      { kind: "device", path: "dev/console", major: 5, minor: 1 },
      { kind: "file", path: "bin/busybox", data: busybox, mode: 0o755 },
      { kind: "symlink", path: "bin/sh", target: "busybox" },
      { kind: "file", path: "init", data: new TextEncoder().encode(`#!/bin/sh\n${init}\n`), mode: 0o755 },
    ]),
  );
  return path;
}

async function file({ folder }: Files, name: string, text: string, mode = 0o644): Promise<string> {
  await Deno.writeTextFile(`${folder}/${name}`, text, { mode });
  return `${folder}/${name}`;
}

/** What is wrong, in the configuration, and what the message must say. */
const CASES: Record<string, (files: Files) => Promise<[ConfigurationChange, RegExp]>> = {
  "a kernel that is not there": () =>
    Promise.resolve([
      { hypervisor: { kernel: "/nowhere/vmlinux" } },
      /kernel = "\/nowhere\/vmlinux": must be an existing file/,
    ]),
  "a kernel that is none": async (files) => {
    const kernel = await file(files, "kernel", "this is no kernel\n");
    return [{ hypervisor: { kernel } }, /guest kernel.*"\/.*kernel"/];
  },
  "an initrd that is not there": () =>
    Promise.resolve([
      { hypervisor: { initrd: "/nowhere/initrd" } },
      /initrd = "\/nowhere\/initrd": must be an existing file/,
    ]),
  "an initrd without an init: the kernel panics": async (files) => [
    { hypervisor: { initrd: await initrd(files, undefined) } },
    /^the virtual machine ended while it booted: .*panic.*/is,
  ],
  "an agent that never answers": async (files) => [
    {
      hypervisor: {
        initrd: await initrd(files, "echo hello from the console; while :; do /bin/busybox sleep 1000; done"),
      },
      agent: { dial_timeout: 25 },
    },
    /^the agent did not answer within 25 s; its console ends with:[^]*hello from the console/,
  ],
  "an init that ends": async (files) => [
    { hypervisor: { initrd: await initrd(files, "echo bye; exit 1") } },
    /^the virtual machine ended while it booted: .*panic/is,
  ],
  "no QEMU": () =>
    Promise.resolve([
      { hypervisor: { path: "/nowhere/qemu" } },
      /path = "\/nowhere\/qemu": must be an existing file/,
    ]),
  "a QEMU that is none": () =>
    Promise.resolve([{ hypervisor: { path: "/bin/false" } }, /QEMU exited with 1/]),
  "a virtiofsd that is none": () =>
    Promise.resolve([{ hypervisor: { virtio_fs_daemon: "/bin/true" } }, /"\/bin\/true" is not a virtiofsd/]),
  "a key with a wrong type": () =>
    Promise.resolve([
      { hypervisor: { default_memory: "much" } },
      /configuration\.toml.*default_memory.*"much"/s,
    ]),
};

Deno.test("a configuration that cannot work", async (t) => {
  await using rootfs = await temporaryRootfs();
  const files = { folder: rootfs.folder, rootfs: rootfs.path };
  let count = 0;
  for (const [what, prepare] of Object.entries(CASES)) {
    await t.step(what, async () => {
      const left = await traces();
      {
        const [change, message] = await prepare(files);
        const configuration = writeConfiguration(rootfs.folder, change);
        await using shim = await startShim(ownId(`bad${count++}`), { configuration });
        assert.match(await failure(shim, files), message);
      }
      assert.deepEqual(await leaksSince(left), []);
    });
  }
});

Deno.test("a kvm that is asked for and cannot be used", async () => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    const configuration = writeConfiguration(rootfs.folder, { hypervisor: { accelerator: "kvm" } });
    // whatever this host has: in the shim's mount namespace /dev/kvm is /dev/null, or missing
    const mask = 'test ! -e /dev/kvm || mount --bind /dev/null /dev/kvm; exec "$@"';
    const wrapper = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", mask, "sh"];
    await using shim = await startShim(ownId("kvm"), { configuration, wrapper });
    assert.match(await failure(shim, { folder: rootfs.folder, rootfs: rootfs.path }), /kvm/i);
  }
  assert.deepEqual(await leaksSince(left), []);
});

Deno.test("a specification that cannot be run is refused by its JSON path and value", async (t) => {
  await using rootfs = await temporaryRootfs();
  const left = await traces();
  {
    const files = { folder: rootfs.folder, rootfs: rootfs.path };
    await using shim = await startShim(ownId("spec"), { configuration: writeConfiguration(rootfs.folder) });
    const process = { user: { uid: 0, gid: 0 }, args: ["true"], cwd: "/" };
    const cases: Record<string, [Record<string, unknown>, string | RegExp]> = {
      "no arguments": [
        { process: { ...process, args: [] } },
        "config.json: process.args must be a non-empty array of strings: it is []",
      ],
      "a relative folder": [{ process: { ...process, cwd: "tmp" } }, /^config\.json: process\.cwd .*"tmp"/],
      "a rootfs that is not there": [{ root: { path: "/nowhere" } }, /rootfs "\/nowhere"/],
      "a rootfs that is a file": [
        { root: { path: `${rootfs.path}/etc/passwd` } },
        /etc\/passwd" is not a folder/,
      ],
      "a mount whose source is not there": [
        { mounts: [{ destination: "/d", type: "bind", source: "/nowhere" }] },
        'cannot mount "/d": its source "/nowhere" does not exist',
      ],
      "a hook": [
        { hooks: { createContainer: [{ path: "/bin/hook" }] } },
        "config.json: hooks.createContainer is not supported, as its programs are the host's and the container's " +
        'namespaces the guest\'s: it has "/bin/hook"',
      ],
      "a network namespace that is not there": [
        { linux: { namespaces: [{ type: "uts" }, { type: "network", path: "/run/netns/nowhere" }] } },
        'network namespace "/run/netns/nowhere" does not exist',
      ],
      "the host's network namespace": [
        { linux: { namespaces: [{ type: "uts" }, { type: "network", path: "/proc/self/ns/net" }] } },
        /is the host's own/,
      ],
    };
    for (const [what, [change, message]] of Object.entries(cases)) {
      await t.step(what, async () => {
        const text = await failure(shim, files, change);
        if (typeof message === "string") assert.equal(text, message);
        else assert.match(text, message);
      });
    }
    await t.step("no JSON at all", async () => {
      await Deno.writeTextFile(`${shim.bundle(shim.id)}/config.json`, "{");
      const call = shim.task.create({ id: shim.id, bundle: shim.bundle(shim.id) });
      assert.match(await messageOf(call), /^config\.json: is not valid JSON/);
    });
    await t.step("ids that would lead elsewhere", async () => {
      for (const id of ["a/b", "..", "", "-x"]) {
        const { success, stderr } = await shim.outputWithId("start", id);
        assert(!success);
        assert.match(new TextDecoder().decode(stderr), /shim id must/);
      }
    });
  }
  assert.deepEqual(await leaksSince(left), []);
});
