/** What rules between keys look at, and how they report. */

import type { Report } from "./error.ts";
import type { Config, SectionName } from "./schema.ts";
import type { HYPERVISOR } from "./schema/hypervisor.ts";
import type { Settings } from "./settings.ts";

/** The values, which rules may change, and where they report to. */
export interface Rules {
  readonly config: Config;
  readonly settings: Settings;
  readonly report: Report;
}

/** A key of `[hypervisor.…]`. */
export type HypervisorKey = keyof typeof HYPERVISOR;

/** Reports a hypervisor's value that cannot be; not of a key that was reported already. */
export function bad(rules: Rules, key: HypervisorKey, problem: string): void {
  badIn(rules, "hypervisor", key, problem);
}

/** As {@linkcode bad}, for any section. */
export function badIn({ settings, report }: Rules, section: SectionName, key: string, problem: string): void {
  if (settings.isBroken(section, key)) return;
  report.bad(settings.origin(section, key), settings.get(section, key), problem);
}

/** Reports a hypervisor's value that has no effect, unless it is the default. */
export function doubt({ settings, report }: Rules, key: HypervisorKey, problem: string): void {
  if (!settings.isSet("hypervisor", key)) return;
  report.doubtful(settings.origin("hypervisor", key), settings.get("hypervisor", key), problem);
}
