/**
 * Whether a path exists. A path that cannot be examined counts as missing; open it to get the reason.
 *
 * @module
 */

/** Whether a path leads to something; a link that leads nowhere does not. */
export function exists(path: string): boolean {
  return look(path) !== undefined;
}

/** Whether a path leads to a regular file. */
export function isFile(path: string): boolean {
  return look(path)?.isFile ?? false;
}

/** Whether a path leads to a folder. */
export function isFolder(path: string): boolean {
  return look(path)?.isDirectory ?? false;
}

/** Whether a folder has an entry of that name, be it a link that leads nowhere. */
export function isEntry(path: string): boolean {
  return look(path, Deno.lstatSync) !== undefined;
}

function look(path: string, stat = Deno.statSync): Deno.FileInfo | undefined {
  try {
    return stat(path);
  } catch {
    return undefined;
  }
}
