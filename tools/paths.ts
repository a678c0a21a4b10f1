/**
 * Where the tools read and write.
 *
 * @module
 */

/** The repository. */
export const ROOT: string = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** What is built: a folder that is self-sufficient. */
export const DIST = `${ROOT}/dist`;

/** What the tools keep from one run to the next; may be removed at any time. */
export const CACHE = `${ROOT}/.cache`;

/** Creates a folder and its parents if they are missing, and returns its path. */
export async function ensureDir(path: string): Promise<string> {
  await Deno.mkdir(path, { recursive: true });
  return path;
}

/** Writes a file so that others see the old content or the new, even while the old one is being executed. */
export async function replaceFile(path: string, data: Uint8Array | string, mode = 0o644): Promise<void> {
  const temporary = `${path}.${Deno.pid}.new`;
  try {
    if (typeof data === "string") await Deno.writeTextFile(temporary, data);
    else await Deno.writeFile(temporary, data);
    await Deno.chmod(temporary, mode);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** SHA-256 of the parts, in hexadecimal digits; where one part ends and the next begins counts. */
export async function digest(...parts: (Uint8Array<ArrayBuffer> | string)[]): Promise<string> {
  const encoder = new TextEncoder();
  const hashes: Uint8Array<ArrayBuffer>[] = [];
  for (const part of parts) {
    const bytes = typeof part === "string" ? encoder.encode(part) : part;
    hashes.push(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  }
  const all = await crypto.subtle.digest("SHA-256", await new Blob(hashes).arrayBuffer());
  return Array.from(new Uint8Array(all), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What tells one version of a large file from another without reading it. */
export async function identity(path: string): Promise<string> {
  const info = await Deno.stat(path);
  return `${path} ${info.size} ${info.mtime?.getTime()}`;
}
