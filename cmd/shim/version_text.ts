/**
 * The shim's version.
 *
 * @module
 */

import { COMMIT, VERSION } from "../../version.ts";

/** One line. */
export function versionText(argv0: string): string {
  const name = argv0.slice(argv0.lastIndexOf("/") + 1);
  const commit = COMMIT === "" ? "" : `, commit ${COMMIT}`;
  return `${name}: version ${VERSION}${commit}`;
}
