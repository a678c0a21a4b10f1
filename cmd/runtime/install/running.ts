import { HOST_PATHS } from "../../../sandbox/state/paths.ts";

/** Ids of sandboxes whose owners run from a program's file. */
export function runningSandboxes(program: string): string[] {
  const found: string[] = [];
  for (const id of namesIn(HOST_PATHS.state)) {
    try {
      const text = Deno.readTextFileSync(`${HOST_PATHS.state}/${id}/persist.json`);
      const pid = Number((JSON.parse(text) as { owner?: { pid?: unknown } }).owner?.pid);
      if (Deno.readLinkSync(`/proc/${pid}/exe`) === program) found.push(id);
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
