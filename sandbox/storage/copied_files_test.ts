import assert from "node:assert/strict";
import type { CopyFileRequest } from "../../rpc/gen/agent_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { S } from "../../sys/fd.ts";
import { listenUnix } from "../../sys/socket.ts";
import { silentLog } from "../log/log.ts";
import { CopiedFiles, type CopyCall } from "./copied_files.ts";

const TIMEOUT_MS = 60_000;

/** A guest's files, as the calls make them. */
class Files {
  readonly all = new Map<string, string>();
  readonly steps: string[] = [];
  readonly agent: CopyCall = {
    copyFile: (request) => {
      this.#copy(request);
      return Promise.resolve({} as Awaited<ReturnType<CopyCall["copyFile"]>>);
    },
  };

  #copy({ path = "", fileMode = 0, offset = 0n, data = new Uint8Array() }: Init<CopyFileRequest>): void {
    const text = new TextDecoder().decode(data);
    const name = path.replace(/^.*\/c-[0-9a-f]{16}-/, "");
    this.steps.push(name);
    const before = this.all.get(name) ?? "";
    const type = fileMode & S.IFMT;
    if (type !== S.IFDIR) {
      for (const other of [...this.all.keys()]) if (other.startsWith(`${name}/`)) this.all.delete(other);
    }
    if (type === S.IFDIR) this.all.set(name, `folder ${(fileMode & 0o7777).toString(8)}`);
    else if (type === S.IFLNK) this.all.set(name, `-> ${text}`);
    else this.all.set(name, offset === 0n ? text : before + text);
  }
}

/** A folder of the host, and a guest without a share. */
class Bench implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "kata-copied-" });
  readonly volume = `${this.folder}/kubernetes.io~configmap/settings`;
  readonly guest = new Files();
  readonly copied: CopiedFiles;

  constructor(memoryMiB = 8) {
    this.copied = new CopiedFiles({ agent: this.guest.agent, log: silentLog, memoryMiB });
  }

  add(source: string): Promise<string | undefined> {
    const shared = { destination: "/data/", readonly: false, recursive: true, follows: false };
    return this.copied.addMount("c", { ...shared, source });
  }

  publish(version: string): void {
    Deno.mkdirSync(`${this.volume}/..${version}`, { recursive: true });
    Deno.writeTextFileSync(`${this.volume}/..${version}/key`, version);
    Deno.symlinkSync(`..${version}`, `${this.volume}/..tmp`);
    const old = [...Deno.readDirSync(this.volume)].find(({ name }) => name === "..data")
      ? Deno.readLinkSync(`${this.volume}/..data`)
      : undefined;
    Deno.renameSync(`${this.volume}/..tmp`, `${this.volume}/..data`);
    if (old === undefined) Deno.symlinkSync("..data/key", `${this.volume}/key`);
    else Deno.removeSync(`${this.volume}/${old}`, { recursive: true });
  }

  async until(what: string, done: () => boolean): Promise<void> {
    const end = Date.now() + TIMEOUT_MS;
    while (!done()) {
      if (Date.now() > end) throw new Error(`not in time: ${what}: ${JSON.stringify([...this.guest.all])}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.copied[Symbol.asyncDispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("files, folders and links are copied, in pieces, and nothing else is", async () => {
  await using bench = new Bench();
  const source = `${bench.folder}/source`;
  Deno.mkdirSync(`${source}/below`, { recursive: true, mode: 0o750 });
  Deno.writeTextFileSync(`${source}/below/file`, "x".repeat(2_500_000));
  Deno.symlinkSync("/etc", `${source}/link`);
  const socket = listenUnix(`${source}/socket`);
  try {
    assert.match(
      await bench.add(source) ?? "",
      /^\/run\/kata-containers\/shared\/containers\/c-[0-9a-f]{16}-data$/,
    );
    assert.deepEqual([...bench.guest.all.keys()], ["data", "data/below", "data/below/file", "data/link"]);
    assert.equal(bench.guest.all.get("data/below/file")?.length, 2_500_000);
    assert.equal(bench.guest.all.get("data/below"), "folder 750");
    assert.equal(bench.guest.all.get("data/link"), "-> /etc");
    assert.equal(bench.guest.steps.filter((step) => step.endsWith("/file")).length, 3);
    assert.equal(await bench.add(`${source}/socket`), undefined);
    await bench.add(`${source}/below/file`);
    assert.equal(bench.guest.all.get("data")?.length, 2_500_000, "a file on its own");
  } finally {
    socket.close();
  }
});

Deno.test("a new version of a published volume is copied, and the old one goes", async () => {
  await using bench = new Bench();
  bench.publish("one");
  await bench.add(bench.volume);
  const seen = () => [...bench.guest.all].filter(([name]) => name !== "data").sort();
  assert.deepEqual(seen(), [
    ["data/..0", "folder 755"],
    ["data/..0/key", "one"],
    ["data/..data", "-> ..0"],
    ["data/key", "-> ..data/key"],
  ]);
  for (const [version, place, other] of [["two", "..1", "..0"], ["three", "..0", "..1"]] as const) {
    bench.guest.steps.length = 0;
    bench.publish(version);
    await bench.until("the old version is gone", () => bench.guest.all.get(`data/${other}`) === "-> ..none");
    assert.deepEqual(
      seen(),
      [
        [`data/${other}`, "-> ..none"],
        [`data/${place}`, "folder 755"],
        [`data/${place}/key`, version],
        ["data/..data", `-> ${place}`],
        ["data/key", "-> ..data/key"],
      ].sort(),
    );
    assert.deepEqual(
      bench.guest.steps.slice(-2),
      ["data/..data", `data/${other}`],
      "what makes it count is last",
    );
  }
  await bench.copied.remove("c");
  const { length } = bench.guest.steps;
  bench.publish("four");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(bench.guest.steps.length, length, "nobody has it any more");
});

Deno.test("more than a part of the guest's memory is not copied, nor is a whole system", async () => {
  await using bench = new Bench(2);
  Deno.writeFileSync(`${bench.folder}/large`, new Uint8Array(1_048_577));
  await assert.rejects(bench.add(bench.folder), {
    message: `cannot copy "${bench.folder}" into the guest: "${bench.folder}" has more than 1048576 bytes`,
  });
  await assert.rejects(bench.copied.addRootfs("c"), /must be on a disk .*, as shared_fs is "none"/);
});

Deno.test("folders and files for all containers are copied by their names", async () => {
  await using bench = new Bench();
  Deno.writeTextFileSync(`${bench.folder}/file`, "text");
  await bench.copied.addSandboxMounts([`${bench.folder}/file`]);
  const path = "/run/kata-containers/shared/containers/sandbox-mounts/file";
  assert.deepEqual([...bench.guest.all], [[path, "text"]]);
});
