/** User and group ids inside and outside of a user namespace. */

import type { IdMapping } from "../../../oci/spec.ts";
import type { NamespaceChoices, UserChoice } from "./input.ts";

/** What the kernel makes of ids that have no place in a namespace. */
const NOBODY = 65534;

/** The id, as the agent's namespace has it, of one inside; that of nobody if there is none. */
export function outsideId(mappings: readonly IdMapping[], id: number): number {
  const found = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return found ? found.hostID + (id - found.containerID) : NOBODY;
}

/** Whether an id exists inside. */
export function isMapped(mappings: readonly IdMapping[], id: number): boolean {
  return mappings.some(({ containerID, size }) => id >= containerID && id < containerID + size);
}

/** The user namespace, unless it is the agent's. */
export function userOf({ user }: NamespaceChoices): UserChoice | undefined {
  return user === "inherit" ? undefined : user;
}
