/**
 * The distribution's kernel, fetched and unpacked into a folder; nothing is installed.
 *
 * @module
 */

import { extractKernel } from "../guest/kernel.ts";
import { collectModules, GUEST_DRIVERS, MORE_DRIVERS } from "../guest/modules.ts";
import { CACHE, ensureDir } from "./paths.ts";
import { run } from "./process.ts";

/** Packages that depend on the newest kernel of each architecture. */
const META_PACKAGES: Readonly<Record<string, string>> = {
  x86_64: "linux-image-amd64",
  aarch64: "linux-image-arm64",
};

const FOLDER = `${CACHE}/kernel`;
/** Downloaded files are public; without this, root's apt tries to become a user who may not write to the folder. */
const APT_OPTIONS = ["-o", "APT::Sandbox::User=root"];

/** What a guest needs of a kernel's package. */
export interface KernelFiles {
  /** The kernel, uncompressed. */
  readonly kernel: string;
  /** Its modules, those that a guest needs: `…/<release>`. */
  readonly modules: string;
}

/**
 * The kernel's package file: one fetched earlier, or the newest there is.
 *
 * @throws {RunError} when apt cannot fetch it
 */
export async function kernelPackage(): Promise<string> {
  await ensureDir(FOLDER);
  const present = await packageFile();
  if (present !== undefined) return present;
  const name = await newestKernel();
  await run(["apt-get", ...APT_OPTIONS, "download", name], { cwd: FOLDER });
  const fetched = await packageFile();
  if (fetched === undefined) throw new Error(`apt-get download ${name} left no package in ${FOLDER}`);
  return fetched;
}

/**
 * What a guest needs of a kernel's package, unpacked and decompressed. It is kept, since that takes most of the time of
 * making a guest and changes seldom.
 *
 * @param file the package
 * @param key changes when what is kept would be different
 */
export async function unpackKernel(file: string, key: string): Promise<KernelFiles> {
  const kept = `${FOLDER}/kept-${key}`;
  if (!await folderExists(kept)) {
    const folder = await Deno.makeTempDir({ dir: FOLDER, prefix: "unpacked-" });
    try {
      await run(["dpkg-deb", "-x", file, `${folder}/all`]);
      await keep(`${folder}/all`, `${folder}/kept`);
      for await (const { name } of Deno.readDir(FOLDER)) {
        if (name.startsWith("kept-")) await Deno.remove(`${FOLDER}/${name}`, { recursive: true });
      }
      await Deno.rename(`${folder}/kept`, kept);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return { kernel: `${kept}/vmlinux`, modules: await only(`${kept}/modules`, /./) };
}

async function keep(all: string, kept: string): Promise<void> {
  const vmlinuz = await only(`${all}/boot`, /^vmlinu[xz]-/);
  const lib = (await folderExists(`${all}/usr/lib/modules`)) ? "usr/lib/modules" : "lib/modules";
  const modules = await only(`${all}/${lib}`, /./);
  const target = `${kept}/modules/${modules.slice(modules.lastIndexOf("/") + 1)}`;
  await ensureDir(target);
  await Deno.writeFile(`${kept}/vmlinux`, await extractKernel(await Deno.readFile(vmlinuz), vmlinuz));
  await Deno.copyFile(`${modules}/modules.builtin`, `${target}/modules.builtin`);
  const collected = await collectModules(modules, GUEST_DRIVERS, MORE_DRIVERS);
  for (const { path, data } of [...collected.modules, ...collected.more]) {
    await ensureDir(`${target}/${path}`.replace(/\/[^/]*$/, ""));
    await Deno.writeFile(`${target}/${path}`, data);
  }
}

async function newestKernel(): Promise<string> {
  const meta = META_PACKAGES[Deno.build.arch];
  if (meta === undefined) throw new Error(`no kernel package is known for ${Deno.build.arch}`);
  let name = await dependency(meta);
  if (name === undefined) {
    // a machine that never asked its archive does not know what there is
    await run(["apt-get", "update"]);
    name = await dependency(meta);
  }
  if (name === undefined) throw new Error(`the package ${meta} is not in this machine's archives`);
  return name;
}

async function dependency(meta: string): Promise<string | undefined> {
  const text = await run(["apt-cache", "depends", meta]).catch(() => "");
  return /^\s*Depends: (linux-image-\d\S*)$/m.exec(text)?.[1];
}

async function packageFile(): Promise<string | undefined> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) if (name.endsWith(".deb")) names.push(name);
  const newest = names.sort().at(-1);
  return newest === undefined ? undefined : `${FOLDER}/${newest}`;
}

async function only(folder: string, pattern: RegExp): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) if (pattern.test(name)) return `${folder}/${name}`;
  throw new Error(`nothing in "${folder}" is called like ${pattern}`);
}

async function folderExists(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}
