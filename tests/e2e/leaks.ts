/**
 * What a test leaves on the host: compared before and after.
 *
 * @module
 */

/** What is there at a moment; each entry is one line of text. */
export interface Traces {
  readonly processes: ReadonlySet<string>;
  readonly mounts: ReadonlySet<string>;
  readonly files: ReadonlySet<string>;
}

/** Folders in which sandboxes keep something. */
const FOLDERS = [
  "/run/vc/sbs",
  "/run/vc/vm",
  "/run/kata-containers/shared/sandboxes",
  "/run/containerd/s",
  "/run/netns",
];

/** Programs that sandboxes run. */
const PROGRAMS = /^(qemu-system-|virtiofsd|vhost-device-vsock|containerd-shim-kata)/;

/** How long the last processes may take to be gone, in milliseconds. */
const PATIENCE_MS = 10_000;

/** What is there now. */
export async function traces(): Promise<Traces> {
  return { processes: await processes(), mounts: await mounts(), files: await files() };
}

/**
 * Compares with an earlier moment, until nothing is left of what came since.
 *
 * @returns what is still there; empty is good
 */
export async function leaksSince(before: Traces): Promise<string[]> {
  const deadline = Date.now() + PATIENCE_MS;
  while (true) {
    const now = await traces();
    const left = [
      ...added("process", before.processes, now.processes),
      ...added("mount", before.mounts, now.mounts),
      ...added("file", before.files, now.files),
    ];
    if (left.length === 0 || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function added(what: string, before: ReadonlySet<string>, now: ReadonlySet<string>): string[] {
  return [...now].filter((entry) => !before.has(entry)).map((entry) => `${what} ${entry}`);
}

async function processes(): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    const program = line.split("\0")[0] ?? "";
    const base = program.slice(program.lastIndexOf("/") + 1);
    if (PROGRAMS.test(base)) found.add(`${name} ${line.replaceAll("\0", " ").slice(0, 200)}`);
  }
  return found;
}

async function mounts(): Promise<Set<string>> {
  const lines = (await Deno.readTextFile("/proc/self/mountinfo")).trim().split("\n");
  return new Set(lines.map((line) => line.split(" ")[4] ?? ""));
}

async function files(): Promise<Set<string>> {
  const found = new Set<string>();
  for (const folder of FOLDERS) {
    try {
      for await (const { name } of Deno.readDir(folder)) found.add(`${folder}/${name}`);
    } catch {
      // the folder itself is made when it is needed first
    }
  }
  return found;
}
