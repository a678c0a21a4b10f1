/**
 * `deno task guest`: makes `dist/vmlinux`, `dist/kata-initrd.img` and `dist/configuration.toml`, so that `dist/` can
 * run containers by itself.
 *
 * @module
 */

import { buildGuest, INITRD_FILE, KERNEL_FILE } from "../guest/build.ts";
import { build } from "./build.ts";
import { type KernelFiles, kernelPackage, unpackKernel } from "./kernel_package.ts";
import { CACHE, digest, DIST, ensureDir, identity, replaceFile, ROOT } from "./paths.ts";

const STAMP = `${CACHE}/guest-key`;

const CONFIGURATION = `# Configuration of the runtime in this folder. Relative paths start here.

[hypervisor.qemu]
kernel = "${KERNEL_FILE}"
initrd = "${INITRD_FILE}"

[agent.kata]
# a guest may boot beside others, without hardware virtualisation
dial_timeout = 120
`;

/** @returns whether anything had to be made */
export async function makeGuest(): Promise<boolean> {
  await ensureDir(DIST);
  const { out: executable } = await build();
  const file = await kernelPackage();
  await replaceFile(`${DIST}/configuration.toml`, CONFIGURATION);

  const code = await digest(...await guestSources());
  const key = await digest(await identity(executable), file, code);
  if (await isCurrent(key)) return false;
  const { kernel, modules } = await unpackKernel(file, await digest(file, code));
  await buildGuest({ kernel, modules, out: DIST, executable });
  await replaceFile(STAMP, key);
  return true;
}

/** The kernel that the guest in `dist/` was made from, and its modules. */
export async function kernelFiles(): Promise<KernelFiles> {
  const file = await kernelPackage();
  return await unpackKernel(file, await digest(file, await digest(...await guestSources())));
}

/** The code that makes guest assets. */
async function guestSources(): Promise<string[]> {
  const sources: string[] = [];
  for (const folder of ["guest", "guest/decompress"]) {
    for await (const { name } of Deno.readDir(`${ROOT}/${folder}`)) {
      if (!/\.ts$/.test(name) || /_test\.ts$/.test(name)) continue;
      sources.push(await Deno.readTextFile(`${ROOT}/${folder}/${name}`));
    }
  }
  return sources.sort();
}

async function isCurrent(key: string): Promise<boolean> {
  try {
    await Promise.all([KERNEL_FILE, INITRD_FILE].map((name) => Deno.stat(`${DIST}/${name}`)));
    return await Deno.readTextFile(STAMP) === key;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  try {
    const started = performance.now();
    const made = await makeGuest();
    const how = made ? `made in ${((performance.now() - started) / 1000).toFixed(1)} s` : "up to date";
    console.log(`dist/${KERNEL_FILE}, dist/${INITRD_FILE}, dist/configuration.toml: ${how}`);
  } catch (error) {
    console.error(`guest: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
