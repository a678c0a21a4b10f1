/**
 * Root file systems of the distribution's packages, fetched and unpacked into a folder; nothing is installed, and none of
 * their scripts is run.
 *
 * @module
 */

import { CACHE, ensureDir } from "./paths.ts";
import { run, RunError } from "./process.ts";

/** Its files are the users and groups that every machine of the distribution has. */
const USERS = "base-passwd";

/** What packages expect to be there, as it comes with no package of theirs. */
const FOLDERS = ["dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/sbin", "var/log", "var/tmp"];

/**
 * Makes a root file system with packages and all that they depend on.
 *
 * @param packages names as apt has them
 * @param folder is created
 * @throws {RunError} when apt cannot fetch them, with its words
 */
export async function makeDebianRootfs(packages: readonly string[], folder: string): Promise<string> {
  const files = await fetchPackages([...packages, USERS]);
  for (const name of FOLDERS) await ensureDir(`${folder}/${name}`);
  for (const name of ["tmp", "var/tmp"]) await Deno.chmod(`${folder}/${name}`, 0o1777);
  for (const file of files) await run(["dpkg-deb", "-x", file, folder]);
  for (const name of ["passwd", "group"]) {
    await Deno.copyFile(`${folder}/usr/share/base-passwd/${name}.master`, `${folder}/etc/${name}`);
  }
  return folder;
}

/** The packages' files and those of all they depend on: fetched earlier, or now. */
async function fetchPackages(names: readonly string[]): Promise<string[]> {
  const kept = `${CACHE}/packages/${names.join("+")}`;
  try {
    return await filesIn(kept);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await ensureDir(`${CACHE}/packages`);
  const folder = await Deno.makeTempDir({ dir: `${CACHE}/packages`, prefix: "fetching-" });
  try {
    await fetchInto(folder, names);
    // two at once fetch the same
    await Deno.rename(`${folder}/kept`, kept).catch(() => filesIn(kept));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return await filesIn(kept);
}

/** A machine on which nothing is installed yet needs all of it: apt finds out what that is, and checks what comes. */
async function fetchInto(folder: string, names: readonly string[]): Promise<void> {
  await ensureDir(`${folder}/archives/partial`);
  await Deno.writeTextFile(`${folder}/status`, "");
  const options = {
    "Dir::State::status": `${folder}/status`,
    "Dir::Cache::archives": `${folder}/archives`,
    // files are public; otherwise root's apt tries to become a user who may not write to the folder
    "APT::Sandbox::User": "root",
  };
  const fetching = [
    ...["apt-get", ...Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`])],
    ...["--yes", "--download-only", "--no-install-recommends", "install", ...names],
  ];
  try {
    await run(fetching);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    // a machine that never asked its archive, or not for long, does not know what there is
    await run(["apt-get", "update"]);
    await run(fetching);
  }
  await ensureDir(`${folder}/kept`);
  for (const file of await filesIn(`${folder}/archives`)) {
    await Deno.rename(file, file.replace(/\/archives\/([^/]*)$/, "/kept/$1"));
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(".deb")) files.push(`${folder}/${name}`);
  }
  return files.sort();
}
