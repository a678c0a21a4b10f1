/**
 * The processes of a sandbox, to be killed by tests.
 *
 * @module
 */

/** Who can be killed. */
export type Victim = "shim" | "qemu" | "virtiofsd";

export const VICTIMS: readonly Victim[] = ["shim", "qemu", "virtiofsd"];

/** What the command line of a victim holds. */
const MARKS: Record<Victim, (id: string) => RegExp> = {
  shim: (id) => new RegExp(`containerd-shim-kata-v2\\x00.*\\x00-id\\x00${id}\\x00`),
  qemu: (id) => new RegExp(`qemu-system.*\\x00sandbox-${id}[,\\x00]`),
  virtiofsd: (id) => new RegExp(`virtiofsd.*/sandboxes/${id}/shared`),
};

/** Pids of a sandbox's processes of a kind, in the order of their start. */
export async function pidsOf(victim: Victim, id: string): Promise<number[]> {
  const mark = MARKS[victim](id);
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    // a `start` or `delete` command has an action word behind its flags
    if (mark.test(line) && !/\0(start|delete)\0$/.test(line)) pids.push(Number(name));
  }
  return pids.sort((a, b) => a - b);
}

/** Waits for the process, and kills it with SIGKILL. */
export async function kill(victim: Victim, id: string, timeoutMs = 120_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    const [pid] = await pidsOf(victim, id);
    if (pid !== undefined) return Deno.kill(pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited ${timeoutMs} ms in vain for the ${victim} of "${id}"`);
}
