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

/**
 * Makes the cgroup of a pod as a node agent does, which gives it a share of the processors. Disposing of it checks that
 * nothing but it is left, and removes it.
 */
export function podCgroup(path: string): Disposable {
  const folders = HIERARCHIES.map(({ root }) => `${root}/${path}`);
  for (const { root, controllers } of HIERARCHIES) {
    const folder = `${root}/${path}`;
    Deno.mkdirSync(folder);
    if (controllers.includes("cpu")) Deno.writeTextFileSync(`${folder}/cpu.shares`, "2048");
    for (const file of controllers.includes("cpuset") ? ["cpuset.cpus", "cpuset.mems"] : []) {
      Deno.writeTextFileSync(`${folder}/${file}`, Deno.readTextFileSync(`${root}/${file}`));
    }
  }
  return {
    [Symbol.dispose]: () => {
      for (const folder of folders) Deno.removeSync(folder);
    },
  };
}

/** Hierarchies in which the overhead has a cgroup: not where processors are shared by process (`sandbox/cgroups/`). */
export const WITH_OVERHEAD: readonly Hierarchy[] = HIERARCHIES.filter(({ controllers, root, home }) =>
  !(controllers.includes("cpu") && root === home)
);

/** Name of a process or a thread, by its folder; empty if it has just ended. */
export function nameOf(folder: string): string {
  try {
    return Deno.readTextFileSync(`${folder}/comm`).trim();
  } catch {
    return "";
  }
}

/** Programs in a cgroup, by their names. */
export function membersOf({ root }: Hierarchy, path: string): string[] {
  const pids = Deno.readTextFileSync(`${root}/${path}/cgroup.procs`).trim().split("\n").filter(Boolean);
  return pids.map((pid) => nameOf(`/proc/${pid}`)).filter(Boolean);
}

/** Threads in a cgroup, by their names. */
export function threadsOf({ root }: Hierarchy, path: string): string[] {
  const file = version === 2 ? "cgroup.threads" : "tasks";
  const tids = Deno.readTextFileSync(`${root}/${path}/${file}`).trim().split("\n").filter(Boolean);
  return tids.map((tid) => nameOf(`/proc/${tid}`)).filter(Boolean);
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
