/**
 * containerd as Debian's next release has it, for tests: fetched from where this machine's packages come from and
 * unpacked into a folder. Nothing is installed. `deno run -A tools/newer_containerd.ts` prints the folder.
 *
 * @module
 */

import { CACHE, ensureDir } from "./paths.ts";
import { run } from "./process.ts";

/** Oldest version that is worth it: the first that can create pods as such. */
const LEAST_MAJOR = 2;

/** The suite that becomes the next release. */
const SUITE = "testing";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** How long one step of apt may take, in milliseconds. */
const STEP_MS = 120_000;

/** A containerd that is not installed. */
export interface UnpackedContainerd {
  /** where `containerd` and `ctr` are */
  readonly folder: string;
  readonly version: string;
}

/**
 * One that was fetched earlier, or the newest there is.
 *
 * @throws {Error} it cannot be fetched, and why
 */
export async function newerContainerd(parent: string = `${CACHE}/containerd`): Promise<UnpackedContainerd> {
  const kept = `${parent}/unpacked`;
  const folder = `${kept}/usr/bin`;
  if (!await isThere(`${folder}/containerd`)) await fetch(parent, kept);
  const version = versionIn(await run([`${folder}/containerd`, "--version"]));
  if (majorOf(version) >= LEAST_MAJOR) return { folder, version };
  throw new Error(`suite "${SUITE}" has containerd ${version}, which is older than ${LEAST_MAJOR}.0`);
}

/** The version in what `containerd --version` prints. @throws {Error} there is none in it */
export function versionIn(text: string): string {
  const version = /\sv?(\d+\.\d+[\w.-]*)/.exec(text)?.[1];
  if (version === undefined) throw new Error(`cannot find a version in ${JSON.stringify(text.trim())}`);
  return version;
}

export function majorOf(version: string): number {
  return Number(version.slice(0, version.indexOf(".")));
}

/**
 * The place of Debian's packages in what apt tells of its sources.
 *
 * @param targets a line for each: address, origin, component
 * @throws {Error} no source is Debian's
 */
export function debianSource(targets: string): string {
  for (const line of targets.split("\n")) {
    const [address = "", origin, component] = line.split("|");
    if (origin === "Debian" && component === "main" && !address.includes("security")) return address;
  }
  throw new Error("this machine's packages are not Debian's");
}

/** Everything apt needs to know is in a folder of its own, so that the machine's lists stay as they are. */
async function fetch(parent: string, kept: string): Promise<void> {
  const format = "$(REPO_URI)|$(ORIGIN)|$(COMPONENT)";
  const targets = await run(["apt-get", "indextargets", "--format", format, "Created-By: Packages"]);
  const source = debianSource(targets);
  await ensureDir(parent);
  const folder = await Deno.makeTempDir({ dir: parent, prefix: "fetch-" });
  try {
    await ensureDir(`${folder}/lists/partial`);
    await Deno.writeTextFile(
      `${folder}/sources.list`,
      `deb [signed-by=${KEYRING}] ${source} ${SUITE} main\n`,
    );
    const settings = [
      `Dir::Etc::sourcelist=${folder}/sources.list`,
      "Dir::Etc::sourceparts=-",
      `Dir::State::lists=${folder}/lists`,
      `Dir::Cache=${folder}`,
      "APT::Sandbox::User=root",
      "Acquire::http::Timeout=10",
    ].flatMap((setting) => ["-o", setting]);
    const apt = (...args: string[]) =>
      run(["apt-get", ...settings, ...args], { cwd: folder, timeoutMs: STEP_MS });
    await apt("update");
    await apt("download", `containerd/${SUITE}`);
    const [file] = (await Array.fromAsync(Deno.readDir(folder))).filter(({ name }) => name.endsWith(".deb"));
    if (file === undefined) throw new Error("apt-get download left no package");
    await run(["dpkg-deb", "-x", `${folder}/${file.name}`, `${folder}/unpacked`]);
    await Deno.remove(kept, { recursive: true }).catch(() => {});
    await Deno.rename(`${folder}/unpacked`, kept);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

if (import.meta.main) console.log((await newerContainerd()).folder);
