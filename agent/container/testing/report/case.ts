/** For tests: what a case of a report is, and the words that cases are written in. */

import assert from "node:assert/strict";
import { DEFAULT_CAPABILITIES } from "../../../../oci/capabilities.ts";
import type { Linux, Mount, Process, Spec } from "../../../../oci/spec.ts";

/** One feature. */
export interface ReportCase {
  readonly name: string;
  readonly change: (spec: Spec) => void;
  readonly asks?: readonly string[];
  /** Facts by name, exactly or by pattern; what the specification promises. */
  readonly expect: Readonly<Record<string, string | RegExp>>;
  /** Facts that another runtime has otherwise, by a pattern of their names, and why. */
  readonly unlike?: readonly (readonly [fact: RegExp, why: string])[];
  /** Why no other runtime can be asked. */
  readonly onlyHere?: string;
}

/** Fails unless the facts are what the case expects of them. @param skip names of facts that are not looked at */
export function checkReport(
  facts: ReadonlyMap<string, string>,
  { name, expect }: ReportCase,
  skip: RegExp = /^$/,
): void {
  for (const [fact, wanted] of Object.entries(expect)) {
    if (skip.test(fact)) continue;
    const found = facts.get(fact);
    const message = `${name}: ${fact} is ${JSON.stringify(found)}, not ${wanted}`;
    assert.ok(typeof wanted === "string" ? found === wanted : wanted.test(found ?? "(none)"), message);
  }
}

const SETS = {
  bounding: [...DEFAULT_CAPABILITIES],
  permitted: [...DEFAULT_CAPABILITIES],
  effective: [...DEFAULT_CAPABILITIES],
};

/** What every specification begins with, besides the root: capabilities that nobody has to guess. */
export function withCapabilities(spec: Spec): Spec {
  return { ...spec, process: { ...spec.process, capabilities: SETS } };
}

/** A change of a specification. */
export function process(change: Partial<Process>): (spec: Spec) => void {
  return (spec) => void Object.assign(spec.process, change);
}

/** A change of a specification. */
export function linux(change: Partial<Linux>): (spec: Spec) => void {
  return (spec) => void (spec.linux = { ...spec.linux, ...change });
}

/** A change of a specification. */
export function mounts(...list: readonly Mount[]): (spec: Spec) => void {
  return (spec) => void spec.mounts?.push(...list);
}

/** A change of a specification. */
export function all(...changes: readonly ((spec: Spec) => void)[]): (spec: Spec) => void {
  return (spec) => changes.forEach((change) => change(spec));
}

/** A new tmpfs. */
export const tmpfs = (destination: string, ...options: string[]): Mount => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options,
});
