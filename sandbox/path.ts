/**
 * The few things done to absolute paths as text; no more than that, since paths of a container are the kernel's to
 * resolve.
 *
 * @module
 */

/** Everything before the last slash; "/" for a file in the root folder. */
export function dirname(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

/** Everything after the last slash. */
export function basename(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether `path` is `folder` or lies below it; neither may end in a slash. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
