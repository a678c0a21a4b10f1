/**
 * The shim's version.
 *
 * @module
 */

import { COMMIT, VERSION } from "../../version.ts";

/** What containerd's clients ask for. */
export const RUNTIME_NAME = "io.containerd.kata.v2";

/** One line, in the form that is parsed by those who know other runtimes of this name. */
export function versionText(): string {
  const commit = COMMIT === "" ? "<<unknown>>" : COMMIT;
  return `Kata Containers containerd shim (TypeScript): id: "${RUNTIME_NAME}", version: ${VERSION}, commit: ${commit}`;
}
