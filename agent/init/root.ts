import { chroot } from "../../sys/host.ts";
import { bindMount, mount, MS } from "../../sys/mount.ts";
import { FS_MAGIC, statfs } from "../../sys/statfs.ts";

/** Where the root is bound before it is moved; what is in the folder is hidden as soon as that is done. */
const STAGING = "/.root";

/**
 * Gives the agent a root that `pivot_root` can leave.
 *
 * The first root of a guest that boots from an initramfs is the kernel's own, and pivot_root(2) refuses to leave
 * that one. So it is bound onto a folder of itself, the bind is moved over `/`, and made the root by chroot:
 * containers then leave a mount like any other. A root on a disk needs none of this.
 */
export function moveRoot(): void {
  const { type } = statfs("/");
  if (type !== FS_MAGIC.ramfs && type !== FS_MAGIC.tmpfs) return;
  Deno.mkdirSync(STAGING, { recursive: true, mode: 0o755 });
  // With what is mounted below it: the start-up code may have mounted /proc, the kernel /dev.
  bindMount("/", STAGING, { recursive: true });
  Deno.chdir(STAGING);
  mount(".", "/", "", MS.MOVE);
  chroot(".");
}
