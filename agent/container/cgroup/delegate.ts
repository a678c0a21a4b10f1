/** Handing a cgroup to the user of a container's first process, so that it can divide it further. */

import { AT, fchownAt } from "../../../sys/fd.ts";
import { isErrno } from "../../../sys/errors.ts";
import type { Spec } from "../../../oci/spec.ts";
import { MOUNT_FLAGS, parseMountOptions } from "../../../oci/mount_options.ts";
import { outsideId, userOf } from "../plan/ids.ts";
import type { NamespaceChoices } from "../plan/input.ts";
import { tryReadText } from "./files.ts";

/** Files that the kernel says may be given away; these when it does not say. */
const DELEGATE = "/sys/kernel/cgroup/delegate";
const USUAL = ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];

/**
 * Gives the cgroup's folder, and the files in it that manage what is below, to the user of the first process, if the
 * container can see its cgroup and may write there. Its limits stay the agent's.
 */
export function delegate(folder: string, spec: Spec, namespaces: NamespaceChoices): void {
  if (namespaces.cgroup !== "new" || !hasWritableMount(spec)) return;
  const user = userOf(namespaces);
  const inside = spec.process.user.uid;
  const [uid, gid] = user ? [outsideId(user.uids, inside), outsideId(user.gids, 0)] : [inside, 0];
  if (uid === 0) return;
  const named = (tryReadText(DELEGATE) ?? "").split("\n").filter((name) =>
    name !== "" && !name.includes("/")
  );
  for (const name of ["", ...(named.length > 0 ? named : USUAL)]) {
    try {
      fchownAt(AT.FDCWD, `${folder}/${name}`, uid, gid);
    } catch (error) {
      // Not every kernel gives a cgroup every file.
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }
}

function hasWritableMount({ mounts = [] }: Spec): boolean {
  return mounts.some(({ type, options }) => {
    const { flags, bind } = parseMountOptions(options ?? []);
    return (type === "cgroup" || type === "cgroup2") && !bind && (flags & MOUNT_FLAGS.RDONLY) === 0;
  });
}
