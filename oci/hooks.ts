/**
 * Hooks: programs of the container engine that run at points of a container's life, with the container's state on
 * their standard input (`run_hooks.ts`).
 */

import type { Hooks } from "./spec.ts";

/** The kinds, in the order of a container's life. */
export const HOOK_KINDS = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;
export type HookKind = typeof HOOK_KINDS[number];

/** Whether there are hooks of any of these kinds. */
export function hasHooks(hooks: Hooks | undefined, ...kinds: readonly HookKind[]): boolean {
  return kinds.some((kind) => (hooks?.[kind]?.length ?? 0) > 0);
}
