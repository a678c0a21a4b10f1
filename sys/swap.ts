import { cstr, syscall } from "./syscall.ts";

/**
 * Has the kernel swap to a disk or file that mkswap has prepared.
 *
 * @throws {SysError} `EINVAL` when it was not prepared, `EBUSY` when it is in use already
 */
export function swapOn(path: string): void {
  syscall("swapon", [cstr(path), 0], path);
}
