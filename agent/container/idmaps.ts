/** User namespaces that say which ids the files of idmapped mounts have. */

import type { OwnedFd } from "../../sys/fd.ts";
import type { Spec } from "../../oci/spec.ts";
import { userOf } from "./plan/ids.ts";
import type { NamespaceChoices } from "./plan/input.ts";
import { makeUserNamespace } from "./user_namespace.ts";

/** By index of the mount. */
export interface ChosenIdmaps extends Disposable {
  readonly byMount: ReadonlyMap<number, { readonly fd: number }>;
}

/**
 * Makes those that mounts ask for; a mount that only asks to be mapped is mapped as the container is.
 *
 * @throws {SpecError} for mappings that the kernel does not take
 */
export async function chooseIdmaps(spec: Spec, namespaces: NamespaceChoices): Promise<ChosenIdmaps> {
  using taken = new DisposableStack();
  const byMount = new Map<number, { readonly fd: number }>();
  const made = new Map<string, OwnedFd>();
  const own = userOf(namespaces);
  for (
    const [index, { uidMappings: uids = [], gidMappings: gids = [], options }] of (spec.mounts ?? [])
      .entries()
  ) {
    if (uids.length > 0) {
      const key = JSON.stringify([uids, gids]);
      const fd = made.get(key) ?? taken.use(await makeUserNamespace({ uids, gids }, `mounts[${index}]`));
      made.set(key, fd);
      byMount.set(index, fd);
    } else if (own && options?.some((option) => option === "idmap" || option === "ridmap")) {
      byMount.set(index, own);
    }
  }
  const opened = taken.move();
  return { byMount, [Symbol.dispose]: () => opened.dispose() };
}
