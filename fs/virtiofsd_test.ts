import assert from "node:assert/strict";
import { isErrno } from "../sys/errors.ts";
import { killProcess } from "../sys/process.ts";
import { connectUnix } from "../sys/socket.ts";
import { startVirtiofsd, type VirtiofsdOptions } from "./virtiofsd.ts";

/** Options for the virtiofsd that is installed, in a folder that is removed afterwards. */
async function inFolder(use: (options: VirtiofsdOptions, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/shared`);
  try {
    await use({
      path: "",
      sharedDir: `${folder}/shared`,
      socketPath: `${folder}/fs.sock`,
      cache: "auto",
      extraArgs: ["--announce-submounts"],
      onLog: () => {},
    }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The processes that were started to share a folder, sandbox children included. */
function processesOf(sharedDir: string): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    if (!Number.isInteger(pid) || pid === Deno.pid) return false;
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(sharedDir);
    } catch {
      return false; // it ended meanwhile
    }
  });
}

async function allGone(sharedDir: string): Promise<void> {
  while (processesOf(sharedDir).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("a virtiofsd listens when it is started, and leaves nothing when it is stopped", () =>
  inFolder(async (options) => {
    const daemon = await startVirtiofsd(options);
    assert.equal((Deno.statSync(options.socketPath).mode ?? 0) & 0o777, 0o600);
    await daemon.stop();
    await daemon.stop();
    assert.equal((await daemon.exited).message, "virtiofsd was stopped");
    await allGone(options.sharedDir);
    assert.throws(() => Deno.statSync(options.socketPath), Deno.errors.NotFound);
  }));

Deno.test("a virtiofsd that is killed tells so, takes its children along, and ends connections", () =>
  inFolder(async (options) => {
    await using daemon = await startVirtiofsd(options);
    killProcess(daemon.pid, 9);
    const { status, message } = await daemon.exited;
    assert.deepEqual(status, { code: 0, signal: 9 });
    assert.match(message, /^virtiofsd was killed by SIGKILL/);
    await allGone(options.sharedDir);
    await assert.rejects(connectUnix(options.socketPath), (error) => isErrno(error, "ECONNREFUSED"));
  }));

Deno.test("a virtiofsd that does not like its arguments tells so", () =>
  inFolder(async (options) => {
    await using daemon = await startVirtiofsd({ ...options, extraArgs: ["--no-such-option"] });
    const { status, message } = await daemon.exited;
    assert.notEqual(status.code, 0);
    assert.match(message, /^virtiofsd exited with \d+: ./);
  }));

Deno.test("what cannot be a virtiofsd is refused with a sentence, and leaves no socket", () =>
  inFolder(async (options, folder) => {
    const start = (changes: Partial<VirtiofsdOptions>) => startVirtiofsd({ ...options, ...changes });
    await assert.rejects(
      start({ path: "/nonexistent/virtiofsd" }),
      /^Error: cannot start virtiofsd "\/nonexistent\/virtiofsd": ENOENT$/,
    );
    await assert.rejects(
      start({ path: "/bin/true" }),
      /^Error: "\/bin\/true" is not a virtiofsd: .*exited with 0/,
    );
    await assert.rejects(
      start({ path: "/bin/cat" }),
      /is not a virtiofsd: asked for its version it exited with 0, and wrote "cat /,
    );
    await assert.rejects(
      start({ sharedDir: `${folder}/none` }),
      /^Error: virtiofsd can only share a folder: ".*\/none" is none$/,
    );
    await assert.rejects(start({ cache: "sometimes" }), /it is "sometimes"$/);
    await assert.rejects(start({ socketPath: `${folder}/${"x".repeat(120)}` }), /107 bytes/);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["shared"]);
  }));

Deno.test("a socket that an earlier owner left is replaced", () =>
  inFolder(async (options) => {
    await Deno.writeTextFile(options.socketPath, "");
    await using daemon = await startVirtiofsd(options);
    assert.ok(daemon.pid > 0);
    assert.ok(Deno.statSync(options.socketPath).isSocket);
  }));
