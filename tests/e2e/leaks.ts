/**
 * What a test leaves on the host: compared before and after.
 *
 * Other tests may run on the same host at the same time. Processes are told apart by a mark that this process puts into
 * its environment and that all its descendants inherit; folders of sandboxes by whether their owner is alive and bears
 * another mark, or none.
 *
 * @module
 */

import { isErrno } from "../../sys/errors.ts";
import { connectUnix } from "../../sys/socket.ts";

const MARK_NAME = "KATA_TEST_RUN";
const MARK = `run${Deno.pid.toString(36)}${Date.now().toString(36)}`;
Deno.env.set(MARK_NAME, MARK);

/** Beginning of the names of temporary folders, so that mounts in them can be told apart, too. */
export function markedPrefix(name: string): string {
  return `kata-${name}-${MARK}-`;
}

/** An id for a container or sandbox that no other run of the tests uses: they are known to the whole host. */
export function ownId(name: string): string {
  return `${name}-${Deno.pid.toString(36)}`;
}

/** What is there at a moment: each entry is one line of text. */
export type Traces = ReadonlySet<string>;

/** Folders with one entry per sandbox. */
const STATE = "/run/vc/sbs";
const FOLDERS = [STATE, "/run/vc/vm", "/run/kata-containers/shared/sandboxes"];

/** Sockets of shims, named by a hash. */
const SOCKETS = "/run/containerd/s";

const NETWORKS = "/run/netns";

/** Where nobody but a sandbox mounts, and a sandbox only in a mount namespace of its own. */
const PRIVATE_MOUNTS = /^\/run\/(vc|kata-containers)\//;

/** Programs that sandboxes run, and that run sandboxes. */
const PROGRAMS = /^(qemu-system-|virtiofsd|vhost-device-vsock|containerd-shim-kata|kata)/;

/** What sandboxes start, by the first letters of their names, and who starts it: also tests, and a helper another. */
const HELPERS = /^(qemu-system|virtiofsd|vhost-device-v)/;
const OWNERS =
  /(^|\/)(containerd-shim-kata-v2|kata(-[a-z]+)?|deno|qemu-system-[^/]*|virtiofsd|vhost-device-vsock)$/;

/** How long the last processes may take to be gone, in milliseconds. */
const PATIENCE_MS = 30_000;

/** What is there now. */
export async function traces(): Promise<Traces> {
  const found = [await processes(), await mounts(), await folders(), await deadSockets(), await networks()];
  return new Set(found.flat());
}

/**
 * Compares with an earlier moment, until nothing is left of what came since.
 *
 * @returns what is still there; empty is good
 */
export async function leaksSince(before: Traces): Promise<string[]> {
  const deadline = Date.now() + PATIENCE_MS;
  while (true) {
    const left = [...await traces()].filter((entry) => !before.has(entry));
    if (left.length === 0 || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function processes(): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    const program = line.split("\0")[0] ?? "";
    if (!PROGRAMS.test(program.slice(program.lastIndexOf("/") + 1)) || !await isOurs(name)) continue;
    found.push(`process ${name} ${line.replaceAll("\0", " ").slice(0, 200)}`);
  }
  return found;
}

/**
 * Whether a process descends from this one. Machines and their helpers get no environment that could tell: they are
 * whose owner is, and one whose owner has gone is taken for ours.
 */
export async function isOurs(pid: string | number): Promise<boolean> {
  const environment = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
  if (environment.split("\0").includes(`${MARK_NAME}=${MARK}`)) return true;
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  if (!HELPERS.test(/^Name:\s+(.*)$/m.exec(status)?.[1] ?? "")) return false;
  const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? "";
  const line = await Deno.readTextFile(`/proc/${parent}/cmdline`).catch(() => "");
  return OWNERS.test(line.split("\0")[0] ?? "") ? await isOurs(parent) : true;
}

async function mounts(): Promise<string[]> {
  const lines = (await Deno.readTextFile("/proc/self/mountinfo")).trim().split("\n");
  const points = lines.map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => PRIVATE_MOUNTS.test(point) || point.includes(MARK)).map((point) =>
    `mount ${point}`
  );
}

async function folders(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of FOLDERS) {
    for (const id of await namesIn(folder)) {
      if (!await belongsToOthers(id)) found.push(`folder ${folder}/${id}`);
    }
  }
  return found;
}

/** Sandboxes that processes of others were seen with: what is left of them later is not ours either. */
const ofOthers = new Set<string>();

async function belongsToOthers(id: string): Promise<boolean> {
  if (!ofOthers.has(id) && (await hasForeignOwner(id) || await isForeignArgument(id))) ofOthers.add(id);
  return ofOthers.has(id);
}

async function hasForeignOwner(id: string): Promise<boolean> {
  const text = await Deno.readTextFile(`${STATE}/${id}/persist.json`).catch(() => "{}");
  const owner = (JSON.parse(text) as { owner?: { pid: number } }).owner?.pid;
  if (owner === undefined) return false;
  const isAlive = await Deno.stat(`/proc/${owner}`).then(() => true, () => false);
  return isAlive && !await isOurs(String(owner));
}

/** Its state may be where only its owner sees it. */
async function isForeignArgument(id: string): Promise<boolean> {
  for (const pid of await namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    if (line.split(/[\0/,=]|sandbox-/).includes(id) && !await isOurs(pid)) return true;
  }
  return false;
}

/** A socket that nobody listens on was left behind. */
async function deadSockets(): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(SOCKETS)) {
    try {
      (await connectUnix(`${SOCKETS}/${name}`)).close();
    } catch (error) {
      if (isErrno(error, "ECONNREFUSED")) found.push(`socket ${SOCKETS}/${name}`);
    }
  }
  return found;
}

async function networks(): Promise<string[]> {
  return (await namesIn(NETWORKS)).map((name) => `network ${NETWORKS}/${name}`);
}

/** Names in a folder; none if it is not there yet. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}
