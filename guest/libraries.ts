/**
 * The libraries that a program needs, found as the dynamic linker would find them.
 *
 * @module
 */

import { Elf } from "./elf.ts";

/** A program or library needs a file that is not there; the message names both. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
}

/** Where the dynamic linkers of the usual distributions look without being told. */
const DEFAULT_FOLDERS = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib/aarch64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/lib",
  "/usr/lib",
];

/**
 * Everything that must be present for a dynamically linked program to start: its interpreter and the
 * libraries that it and they need. A static program needs nothing.
 *
 * @param program path of the program
 * @param folders where to look before the usual folders
 * @returns contents by the path at which the program will look for them
 * @throws {LibraryError} when one is missing or for another architecture
 */
export async function librariesOf(
  program: string,
  folders: readonly string[] = [],
): Promise<Map<string, Uint8Array>> {
  const root = new Elf(await Deno.readFile(program), program);
  const found = new Map<string, Uint8Array>();
  const names = new Set<string>();
  const queue: [needer: string, elf: Elf][] = [[program, root]];
  if (root.interpreter !== undefined) {
    const path = root.interpreter;
    const file = await readIfThere(`${folders[0] ?? ""}/${baseName(path)}`) ?? await readIfThere(path);
    if (!file) throw new LibraryError(`"${program}" needs "${path}", which does not exist`);
    found.set(path, file);
    names.add(baseName(path));
  }
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [needer, elf] = next;
    for (const name of elf.needed()) {
      if (names.has(name)) continue;
      names.add(name);
      const [path, file, library] = await findLibrary(name, needer, root, [...folders, ...DEFAULT_FOLDERS]);
      found.set(path, file);
      queue.push([path, library]);
    }
  }
  return found;
}

async function findLibrary(
  name: string,
  needer: string,
  program: Elf,
  folders: readonly string[],
): Promise<[path: string, file: Uint8Array, elf: Elf]> {
  for (const folder of folders) {
    const path = `${folder}/${name}`;
    const file = await readIfThere(path);
    if (!file) continue;
    const elf = new Elf(file, path);
    if (elf.machine === program.machine) return [path, file, elf];
  }
  throw new LibraryError(
    `"${needer}" needs the library "${name}", which is in none of: ${folders.join(", ")}`,
  );
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
