import assert from "node:assert/strict";
import { type Need, NEEDS, unmet, VIRTIOFSD } from "./needs.ts";
import { run } from "./process.ts";
import { aptLine, packagesFor, withoutApt, withoutServices } from "./setup.ts";

const SAMPLE: readonly Need[] = [
  { package: "one", places: ["one", "/usr/lib/one"] },
  { package: VIRTIOFSD.newer, places: [["/a/virtiofsd", "/b/virtiofsd"]] },
];

async function unmetWhen(...there: string[]): Promise<string[]> {
  return (await unmet(SAMPLE, (place) => Promise.resolve(there.includes(place)))).map((need) => need.package);
}

Deno.test("a need is met when each of its places is there, or one of several that do", async () => {
  assert.deepEqual(await unmetWhen(), ["one", "virtiofsd"]);
  assert.deepEqual(await unmetWhen("one", "/a/virtiofsd"), ["one"]);
  assert.deepEqual(await unmetWhen("one", "/usr/lib/one"), ["virtiofsd"]);
  assert.deepEqual(await unmetWhen("one", "/usr/lib/one", "/b/virtiofsd"), []);
});

Deno.test("programs are looked up in PATH and the folders for root, files by their path", async () => {
  const needs: Need[] = [
    { package: "shell", places: ["sh", "/bin/sh"] },
    { package: "for root", places: ["chroot"] },
    { package: "folder", places: ["/usr"] },
    { package: "nothing", places: ["no-such-program"] },
  ];
  assert.deepEqual((await unmet(needs)).map((need) => need.package), ["folder", "nothing"]);
});

Deno.test("what tests run on is installed on the machine that runs them", async () => {
  assert.deepEqual(await unmet(NEEDS), []);
});

Deno.test("the virtio-fs daemon comes from its own package where there is one, else from QEMU's", async () => {
  assert.deepEqual(await packagesFor(SAMPLE, () => Promise.resolve(true)), ["one", "virtiofsd"]);
  assert.deepEqual(await packagesFor(SAMPLE, () => Promise.resolve(false)), ["one", "qemu-system-common"]);
});

Deno.test("who is not root gets the line to type, who has no apt the list", () => {
  assert.equal(
    aptLine(["a", "b"]),
    "apt-get update && apt-get install --yes --no-install-recommends a b",
  );
  assert.equal(
    withoutApt(SAMPLE),
    `this machine has no apt-get; install these with what it has instead:
  one, /usr/lib/one (Debian's package "one")
  /a/virtiofsd or /b/virtiofsd (Debian's package "virtiofsd")`,
  );
});

Deno.test("services are forbidden while packages are installed, and only then", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-setup-test-" });
  try {
    const policy = `${folder}/policy-rc.d`;
    const ask = async () => (await run(["sh", "-c", `${policy} containerd start; echo $?`])).trim();
    assert.equal(await withoutServices(ask, policy), "101");
    await assert.rejects(Deno.stat(policy), Deno.errors.NotFound);
    await assert.rejects(
      withoutServices(() => Promise.reject(new Error("apt failed")), policy),
      /apt failed/,
    );
    await assert.rejects(Deno.stat(policy), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a policy left behind by a killed set-up forbids nothing, and is cleared away by the next", async () => {
  const folder = await Deno.makeTempDir({ prefix: "kata-setup-test-" });
  try {
    const policy = `${folder}/policy-rc.d`;
    let left = "";
    await withoutServices(async () => void (left = await Deno.readTextFile(policy)), policy);
    // a process id beyond what Linux hands out
    await Deno.writeTextFile(policy, left.replace(` ${Deno.pid} `, " 4194305 "), { mode: 0o755 });
    assert.equal(await run([policy, "containerd", "start"]), "");
    await withoutServices(
      async () => assert.match(await Deno.readTextFile(policy), RegExp(`${Deno.pid}`)),
      policy,
    );
    await assert.rejects(Deno.stat(policy), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a machine's own policy stays as it is", async () => {
  const policy = await Deno.makeTempFile({ prefix: "kata-setup-test-" });
  try {
    await Deno.writeTextFile(policy, "#!/bin/sh\nexit 104\n");
    await withoutServices(
      async () => assert.equal(await Deno.readTextFile(policy), "#!/bin/sh\nexit 104\n"),
      policy,
    );
    assert.equal(await Deno.readTextFile(policy), "#!/bin/sh\nexit 104\n");
  } finally {
    await Deno.remove(policy);
  }
});
