import { isErrno } from "../sys/errors.ts";
import { statFd } from "../sys/file.ts";
import { openBeneath, pathOf } from "./storage/beneath.ts";
import { removeTree } from "./storage/tree.ts";

/** Where hosts put files of containers, by sharing or by copying. */
const FILES = ["shared", "containers"];

/**
 * Removes what the host has copied for a container: names that begin with the container's id and a random part. Where
 * the host shares a folder these names are the host's files, and stay.
 */
export function removeCopies(base: string, containerId: string): void {
  try {
    using own = openBeneath(base, []);
    using folder = openBeneath(base, FILES);
    if (statFd(folder.fd).mountId !== statFd(own.fd).mountId) return;
    for (const { name } of [...Deno.readDirSync(pathOf(folder))]) {
      const isCopy = name.startsWith(`${containerId}-`) &&
        /^[0-9a-f]{16}-/.test(name.slice(containerId.length + 1));
      if (isCopy) removeTree(folder.fd, name);
    }
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
  }
}
