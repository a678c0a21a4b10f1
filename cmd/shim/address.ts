/**
 * Where a shim listens.
 *
 * @module
 */

/** Folder of all shims' sockets. */
export const SOCKET_FOLDER = "/run/containerd/s";

const SCHEME = "unix://";

/**
 * The path of a sandbox's socket: the same for everybody who computes it.
 *
 * @param containerd address of containerd's gRPC socket
 */
export async function socketPath(
  containerd: string,
  namespace: string,
  sandboxId: string,
  folder: string = SOCKET_FOLDER,
): Promise<string> {
  const input = new TextEncoder().encode(joinPath(containerd, namespace, sandboxId));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", input));
  return `${folder}/${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** The path in the form that containerd gets. */
export function addressOf(path: string): string {
  return SCHEME + path;
}

/** The path in an address. */
export function pathOfAddress(address: string): string {
  return address.startsWith(SCHEME) ? address.slice(SCHEME.length) : address;
}

/** Joined by slashes and cleaned: no empty parts, no ".", ".." takes the part before it away. */
export function joinPath(...parts: readonly string[]): string {
  const joined = parts.filter((part) => part !== "").join("/");
  const clean: string[] = [];
  for (const part of joined.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && clean.length > 0 && clean.at(-1) !== "..") clean.pop();
    else if (part !== ".." || !joined.startsWith("/")) clean.push(part);
  }
  return (joined.startsWith("/") ? "/" : "") + clean.join("/");
}
