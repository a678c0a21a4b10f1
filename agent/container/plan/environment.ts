/** The environment of a process, and where its program may be. */

import type { Process } from "../../../oci/spec.ts";

/**
 * The environment as the program gets it: of a name given twice the last one counts, and there is a HOME.
 *
 * @param home of the user, according to the container's `/etc/passwd`
 */
export function environmentOf(process: Process, home: string | undefined): string[] {
  const last = new Map<string, string>();
  for (const entry of process.env ?? []) {
    const name = entry.slice(0, entry.indexOf("="));
    last.delete(name);
    last.set(name, entry);
  }
  if (!hasHome([...last.values()])) last.set("HOME", `HOME=${home ?? "/"}`);
  return [...last.values()];
}

/** Whether an environment has a HOME that is not empty: the last one counts. */
export function hasHome(env: readonly string[]): boolean {
  return (env.findLast((entry) => entry.startsWith("HOME=")) ?? "HOME=") !== "HOME=";
}

/**
 * Where programs are looked for when the process has no PATH; `ctr run --rootfs` gives it no environment at
 * all.
 */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Paths to try for the program, in order: the name itself if there is a slash in it, else in the folders of
 * the process's own PATH, or the usual ones when it has none. Relative folders, of which "" is one, are left
 * out: they would run what lies in the cwd.
 */
export function programCandidates(name: string, env: readonly string[]): string[] {
  if (name.includes("/")) return [name];
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? DEFAULT_PATH;
  const folders = path.split(":").filter((folder) => folder.startsWith("/"));
  return name === "" ? [] : [...new Set(folders)].map((folder) => `${folder.replace(/\/+$/, "")}/${name}`);
}
