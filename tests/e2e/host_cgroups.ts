/**
 * A sandbox's cgroups on the host, as tests look at them.
 *
 * @module
 */

import { type Hierarchy, hostHierarchies } from "../../sandbox/cgroups/hierarchies.ts";

const HOST = hostHierarchies();

/** By which version this host counts. */
export const { version } = HOST;

/** Hierarchies that this process may leave: who is in a cgroup of somebody else's choice stays there. */
export const HIERARCHIES: readonly Hierarchy[] = HOST.list.filter(({ isSupervised }) => !isSupervised);

/** Starts a program without the other hierarchies, in a mount namespace of its own. */
export function withoutOthers(): readonly string[] {
  const others = HOST.list.filter((each) => !HIERARCHIES.includes(each)).map(({ root }) => root);
  if (others.length === 0) return [];
  return ["unshare", "--mount", "sh", "-c", `umount ${others.join(" ")} && exec "$@"`, "sh"];
}

/** The hierarchies that have one of some controllers; that of version 2 has all. */
export function having(...controllers: readonly string[]): Hierarchy[] {
  return HIERARCHIES.filter((each) =>
    version === 2 || each.controllers.some((controller) => controllers.includes(controller))
  );
}

/** Programs in a cgroup, by their names. */
export function membersOf({ root }: Hierarchy, path: string): string[] {
  const pids = Deno.readTextFileSync(`${root}/${path}/cgroup.procs`).trim().split("\n").filter(Boolean);
  return pids.map((pid) => Deno.readTextFileSync(`/proc/${pid}/comm`).trim());
}

/** Threads in a cgroup, by their names. */
export function threadsOf({ root }: Hierarchy, path: string): string[] {
  const file = version === 2 ? "cgroup.threads" : "tasks";
  const tids = Deno.readTextFileSync(`${root}/${path}/${file}`).trim().split("\n").filter(Boolean);
  return tids.map((tid) => Deno.readTextFileSync(`/proc/${tid}/comm`).trim());
}

/** Cgroups whose paths contain an id. */
export function cgroupsOf(id: string): string[] {
  const found = HIERARCHIES.flatMap(({ root }) => foldersBelow(root));
  return found.filter((path) => path.includes(id));
}

function foldersBelow(folder: string): string[] {
  try {
    const names = [...Deno.readDirSync(folder)].filter(({ isDirectory }) => isDirectory).map(({ name }) =>
      name
    );
    return names.flatMap((name) => [`${folder}/${name}`, ...foldersBelow(`${folder}/${name}`)]);
  } catch {
    // it has gone meanwhile
    return [];
  }
}
