/** Leaving the agent's files behind, for a process that needs none. */

import { MOUNT_ATTRIBUTES as A } from "../../../oci/mount_options.ts";
import { beginProcess, separateMounts } from "./namespaces.ts";
import { changeRoot } from "./root.ts";
import type { Steps } from "./steps.ts";

export { Steps } from "./steps.ts";

/** In a mount namespace of its own: makes an empty folder that cannot be written to the root. */
export function leaveRoot(steps: Steps): void {
  const root = steps.slot("empty root");
  beginProcess(steps);
  separateMounts(steps);
  steps.makeFilesystem("make empty root", root, {
    type: "tmpfs",
    options: ["mode=555", "nr_blocks=1", "nr_inodes=2"],
    attributes: A.RDONLY | A.NOSUID | A.NODEV | A.NOEXEC,
  });
  changeRoot(steps, root);
  steps.close(root);
}
