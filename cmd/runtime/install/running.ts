import { HOST_PATHS } from "../../../sandbox/state/paths.ts";

/** What the kernel appends to the path of a running program whose file was replaced, as by an update. */
const REPLACED = " (deleted)";

/** Ids of sandboxes whose owners run from a program's file, or from one that it has replaced. */
export function runningSandboxes(program: string): string[] {
  const found: string[] = [];
  for (const id of namesIn(HOST_PATHS.state)) {
    try {
      const text = Deno.readTextFileSync(`${HOST_PATHS.state}/${id}/persist.json`);
      const pid = Number((JSON.parse(text) as { owner?: { pid?: unknown } }).owner?.pid);
      const file = Deno.readLinkSync(`/proc/${pid}/exe`);
      if (file === program || file === program + REPLACED) found.push(id);
    } catch {
      // it ends just now, or has ended
    }
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}
