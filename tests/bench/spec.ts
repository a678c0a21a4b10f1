import { defaultSpec, type SpecInput } from "../../cmd/runtime/run/default_spec.ts";
import type { Spec } from "../../oci/spec.ts";

/** The spec of a bench's container: what `kata-runtime run` would make of the arguments, as root and without a terminal. */
export function specOf(
  { rootfs }: { readonly rootfs: string },
  id: string,
  args: readonly string[],
  more: Partial<Pick<SpecInput, "mounts" | "netns">> = {},
): Spec {
  return defaultSpec({
    ...{ id, rootfs, args, env: [], cwd: "/", uid: 0, gid: 0, terminal: false, readonlyRoot: false },
    ...{ hostname: id, mounts: [] },
    ...more,
  });
}
