import assert from "node:assert/strict";
import { type Storage, StorageSchema } from "../../rpc/gen/agent_pb.ts";
import { create, type Init } from "../../rpc/message.ts";
import { IN, Inotify } from "../../sys/inotify.ts";
import { MNT, readMountinfo, umount } from "../../sys/mount.ts";
import { createLogger } from "../log.ts";
import { Storages } from "./storages.ts";
import { WatchedFolders } from "./watched.ts";

const quiet = createLogger("critical");
const TIMEOUT_MS = 60_000;

/** A folder with a volume in it that containers watch. */
class Bench implements AsyncDisposable {
  readonly base = Deno.makeTempDirSync({ prefix: "kata-watched-" });
  readonly source = `${this.base}/share/volume`;
  readonly target = `${this.base}/share/watchable/volume`;
  readonly storages = new Storages(this.base, { need() {} }, quiet);
  readonly watched = new WatchedFolders({ base: this.base, log: quiet, intervalMs: 5 });

  constructor() {
    Deno.mkdirSync(this.source, { recursive: true });
  }

  /** As Kubernetes' node agent publishes: a folder for each version, and a link that is replaced at once. */
  publish(version: string, files: Record<string, string>): void {
    const old = this.#present();
    Deno.mkdirSync(`${this.source}/..${version}`);
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${this.source}/..${version}/${name}`, text);
    }
    Deno.symlinkSync(`..${version}`, `${this.source}/..data_tmp`);
    Deno.renameSync(`${this.source}/..data_tmp`, `${this.source}/..data`);
    const links = [...Deno.readDirSync(this.source)].map(({ name }) => name).filter((name) =>
      !name.startsWith("..")
    );
    for (const name of links) if (!(name in files)) Deno.removeSync(`${this.source}/${name}`);
    for (const name of Object.keys(files)) {
      if (!links.includes(name)) Deno.symlinkSync(`..data/${name}`, `${this.source}/${name}`);
    }
    if (old !== undefined) Deno.removeSync(`${this.source}/${old}`, { recursive: true });
  }

  #present(): string | undefined {
    try {
      return Deno.readLinkSync(`${this.source}/..data`);
    } catch {
      return undefined;
    }
  }

  storage(change: Init<Storage> = {}): Storage {
    return create<Storage>(StorageSchema, {
      driver: "watchable-bind",
      fstype: "bind",
      source: this.source,
      mountPoint: this.target,
      ...change,
    });
  }

  async acquire(): Promise<DisposableStack> {
    using taken = new DisposableStack();
    const { storages, begin } = await this.watched.prepare([this.storage()]);
    taken.use(this.storages.acquire(storages, "c1"));
    taken.use(begin());
    return taken.move();
  }

  names(): string[] {
    return Array.from(Deno.readDirSync(this.target), ({ name }) => name).sort();
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.target}/${name}`);
  }

  async until(what: string, done: () => boolean): Promise<void> {
    const end = Date.now() + TIMEOUT_MS;
    while (!done()) {
      if (Date.now() > end) throw new Error(`not in time: ${what}: ${this.names().join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.watched[Symbol.asyncDispose]();
    for (
      const mount of readMountinfo().filter(({ mountPoint }) => mountPoint.startsWith(this.base)).reverse()
    ) {
      umount(mount.mountPoint, MNT.DETACH);
    }
    Deno.removeSync(this.base, { recursive: true });
  }
}

Deno.test("a volume's new version becomes the copy's, and watchers of the copy are notified", async () => {
  await using bench = new Bench();
  bench.publish("one", { key: "first", other: "gone soon" });
  Deno.chmodSync(`${bench.source}/..one/key`, 0o640);
  Deno.chownSync(`${bench.source}/..one/key`, 7, 8);
  Deno.chmodSync(bench.source, 0o1777);
  using used = await bench.acquire();
  assert.deepEqual(bench.names(), ["..data", "..one", "key", "other"]);
  assert.equal(bench.read("key"), "first");
  const { mode, uid, gid } = Deno.statSync(`${bench.target}/key`);
  assert.deepEqual([(mode ?? 0) & 0o7777, uid, gid], [0o640, 7, 8]);
  assert.equal((Deno.statSync(bench.target).mode ?? 0) & 0o7777, 0o1777);

  using watcher = new Inotify();
  watcher.add(bench.target, IN.CREATE | IN.MOVED_TO);
  bench.publish("two", { key: "second", added: "new" });
  for (let seen = false; !seen;) seen = (await watcher.read()).some(({ name }) => name === "..data");
  assert.equal(bench.read("key"), "second", "the link was replaced when all was there");
  await bench.until("the old version is gone", () => !bench.names().includes("..one"));
  assert.deepEqual(bench.names(), ["..data", "..two", "added", "key"]);
  used.dispose();
  assert.throws(() => Deno.statSync(bench.target), Deno.errors.NotFound, "nothing is left of it");
  assert.deepEqual(bench.storages.references, new Map());
});

Deno.test("a reader finds one whole version while versions come and go", async () => {
  await using bench = new Bench();
  bench.publish("0", { key: "0", same: "0" });
  using used = await bench.acquire();
  for (let version = 1; version <= 30; version++) {
    bench.publish(String(version), { key: String(version), same: String(version) });
    await new Promise((resolve) => setTimeout(resolve, 3));
    const [folder] = [Deno.readLinkSync(`${bench.target}/..data`)];
    assert.equal(bench.read(`${folder}/key`), bench.read(`${folder}/same`));
  }
  await bench.until("the last version is there", () => bench.read("key") === "30");
  used.dispose();
});

Deno.test("files are copied when they change, without a node agent's links", async () => {
  await using bench = new Bench();
  Deno.mkdirSync(`${bench.source}/folder`);
  Deno.writeTextFileSync(`${bench.source}/folder/file`, "old");
  using used = await bench.acquire();
  Deno.writeTextFileSync(`${bench.source}/folder/file`, "newer");
  await bench.until("the change is there", () => bench.read("folder/file") === "newer");
  Deno.removeSync(`${bench.source}/folder`, { recursive: true });
  Deno.writeTextFileSync(`${bench.source}/folder`, "a file by now");
  await bench.until("the folder is a file", () => Deno.lstatSync(`${bench.target}/folder`).isFile);
  used.dispose();
});

Deno.test("what is too large is bound, and a copy that grows is still a copy", async () => {
  await using bench = new Bench();
  for (let n = 0; n < 17; n++) Deno.writeTextFileSync(`${bench.source}/${n}`, "");
  using bound = await bench.acquire();
  Deno.writeTextFileSync(`${bench.source}/0`, "seen at once");
  assert.equal(bench.read("0"), "seen at once");
  bound.dispose();
  assert.throws(() => Deno.statSync(bench.target), Deno.errors.NotFound);

  Deno.removeSync(`${bench.source}/16`);
  using copied = await bench.acquire();
  Deno.writeTextFileSync(`${bench.source}/16`, "more");
  await bench.until("more files than at first", () => bench.names().includes("16"));
  Deno.writeFileSync(`${bench.source}/large`, new Uint8Array(5 * 2 ** 20));
  Deno.writeTextFileSync(`${bench.source}/0`, "not any more");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(bench.read("0"), "seen at once", "it stays as it was, whole");
  Deno.removeSync(`${bench.source}/large`);
  await bench.until("it is followed again", () => bench.read("0") === "not any more");
  copied.dispose();
});

Deno.test("links that a container has put into its copy lead nowhere", async () => {
  await using bench = new Bench();
  Deno.mkdirSync(`${bench.source}/folder`);
  Deno.mkdirSync(`${bench.base}/outside`);
  using used = await bench.acquire();
  Deno.removeSync(`${bench.target}/folder`);
  Deno.symlinkSync(`${bench.base}/outside`, `${bench.target}/folder`);
  Deno.writeTextFileSync(`${bench.source}/folder/file`, "secret");
  Deno.writeTextFileSync(`${bench.source}/marker`, "");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([...Deno.readDirSync(`${bench.base}/outside`)], []);
  used.dispose();
});

Deno.test("sources that are not there or elsewhere are refused", async () => {
  await using bench = new Bench();
  const prepare = (change: Init<Storage>) => bench.watched.prepare([bench.storage(change)]);
  await assert.rejects(prepare({ source: `${bench.base}/none` }), /cannot copy ".*\/none" to ".*\/volume": /);
  await assert.rejects(prepare({ source: "/etc" }), /the source of a watched folder must be a path below/);
  await assert.rejects(
    prepare({ mountPoint: "/etc/x" }),
    /the mount point of a storage must be a path below/,
  );
});
