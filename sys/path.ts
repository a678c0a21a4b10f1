/**
 * The few things done to paths as text. (Node's path module would cost every start 10 ms.) Paths of a container are
 * the kernel's to resolve, never these functions'.
 *
 * @module
 */

/** Everything before the last slash; "/" for a file in the root folder, "." for a bare name. */
export function dirname(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

/** Everything after the last slash. */
export function basename(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Whether `path` is `folder` or lies below it; neither may end in a slash. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/**
 * An absolute path without `.`, `..` and doubled slashes.
 *
 * @param from folder that a relative path starts at; absolute
 */
export function resolve(from: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${from}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
