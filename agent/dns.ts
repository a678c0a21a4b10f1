import { isEntry } from "../sys/exists.ts";
import { bindMount, MNT, umount } from "../sys/mount.ts";

const TARGET = "/etc/resolv.conf";

/**
 * Gives programs of the guest itself the sandbox's name servers. (Containers get a mount of their own from the host.)
 *
 * @param lines of a `resolv.conf`, in order; nothing happens if there are none, or the guest has no such file
 * @param folder where the file is written
 * @returns undoes it
 */
export function setDns(lines: readonly string[], folder: string, target: string = TARGET): Disposable {
  using undo = new DisposableStack();
  if (lines.length > 0 && isEntry(target)) {
    const source = `${folder}/resolv.conf`;
    Deno.mkdirSync(folder, { recursive: true, mode: 0o755 });
    Deno.writeTextFileSync(source, lines.map((line) => line + "\n").join(""), { mode: 0o644 });
    undo.defer(() => Deno.removeSync(source));
    bindMount(source, target);
    undo.defer(() => umount(target, MNT.DETACH));
  }
  return undo.move();
}
