/**
 * What the guest is made from.
 *
 * @module
 */

import { INITRD_FILE, KERNEL_FILE } from "../../../guest/build.ts";
import { isFile, isFolder } from "../../../sys/exists.ts";

/** A finished guest, or what one is made from. */
export type GuestSource =
  | { readonly kind: "made"; readonly folder: string }
  | { readonly kind: "build"; readonly kernel: string; readonly modules: string };

/** Where to look. */
export interface GuestSearch {
  readonly kernel?: string | undefined;
  readonly modules?: string | undefined;
  /** folders that may have a guest that was made with this program */
  readonly beside: readonly string[];
  /** of the running kernel */
  readonly release: string;
  /** in front of /boot and /lib/modules, for tests */
  readonly root?: string;
  /** how to install a kernel */
  readonly advice: string;
}

/**
 * The kernel and modules that were asked for; else a guest that was made with this program and lies beside it; else the
 * running kernel; else the newest of /boot.
 *
 * @throws {Error} a sentence: there is nothing to make a guest from
 */
export function findGuestSource(
  { kernel, modules, beside, release, root = "", advice }: GuestSearch,
): GuestSource {
  if (kernel !== undefined && modules !== undefined) {
    if (!isFile(kernel)) throw new Error(`--kernel: there is no file "${kernel}"`);
    if (!isFolder(modules)) throw new Error(`--modules: there is no folder "${modules}"`);
    return { kind: "build", kernel, modules };
  }
  if (kernel !== undefined || modules !== undefined) {
    throw new Error("--kernel and --modules belong together: give both or none of them");
  }
  const folder = beside.find((one) => isFile(`${one}/${KERNEL_FILE}`) && isFile(`${one}/${INITRD_FILE}`));
  if (folder !== undefined) return { kind: "made", folder };
  for (const one of [release, ...releases(`${root}/lib/modules`)]) {
    const source = { kernel: `${root}/boot/vmlinuz-${one}`, modules: `${root}/lib/modules/${one}` };
    if (isFile(source.kernel) && isFile(`${source.modules}/modules.dep`)) return { kind: "build", ...source };
  }
  throw new Error(
    `there is no kernel to make a guest from: no vmlinuz in /boot has its modules in /lib/modules. Install one (${advice}), or give --kernel FILE --modules DIR`,
  );
}

/** Newest first. */
function releases(folder: string): string[] {
  try {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    return names.sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  } catch {
    return [];
  }
}
