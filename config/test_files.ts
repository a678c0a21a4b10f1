/** For tests: a folder with configuration files, and what they name. */

import { dirname, join } from "node:path";
import { ConfigError } from "./error.ts";
import { loadConfig, type Loaded, type LoadOptions } from "./load.ts";

/** A main file that can be loaded, to which more keys may be added. */
export const MINIMAL = `
[hypervisor.qemu]
path = "qemu"
kernel = "vmlinux"
initrd = "initrd"
shared_fs = "virtio-9p"
`;

/** Content of a file, or null for a folder. */
export type Files = Readonly<Record<string, string | null>>;

/** Makes a folder with the given files and the programs that {@link MINIMAL} names; removes it afterwards. */
export async function inFolder(files: Files, use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "kata-config-" }));
  try {
    for (const [name, text] of Object.entries({ qemu: "x", vmlinux: "x", initrd: "x", ...files })) {
      await Deno.mkdir(text === null ? join(dir, name) : dirname(join(dir, name)), { recursive: true });
      if (text !== null) await Deno.writeTextFile(join(dir, name), text);
    }
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Loads the folder's configuration.toml; nothing of the machine's own configuration counts. */
export function load(dir: string, options: LoadOptions = {}): Promise<Loaded> {
  return loadConfig({ fallbacks: [join(dir, "configuration.toml")], env: {}, ...options });
}

/** The message of the error that loading ends with, with the folder's name replaced by "DIR". */
export async function failure(dir: string, options?: LoadOptions): Promise<string> {
  try {
    await load(dir, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(dir, "DIR");
    throw error;
  }
  throw new Error("the configuration was loaded");
}
