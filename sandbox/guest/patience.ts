/**
 * How long an agent that does not answer is waited for, when somebody waits for an end: as long as there is hope.
 *
 * A time alone does not tell a guest that hangs from one that is slow. What its machine's threads do on the host does:
 * a machine that stands still, and neither runs nor waits for a processor or a disk, will not answer however long one
 * waits; one that runs gets processor time, not time, in which to answer, so that a busy host costs nobody his pod.
 *
 * @module
 */

import type { Activity } from "../../sys/activity.ts";
import type { Accelerator } from "../../vm/vmm.ts";
import { within } from "../timing.ts";

/** How long a machine has to stand still, in milliseconds. */
const STILL_MS = 3_000;

/** How long one of the machine's threads may run before there is an answer, in milliseconds of processor time. */
const BUSY_MS: Readonly<Record<Accelerator, number>> = { kvm: 10_000, tcg: 20_000 };

/** How often the machine is looked at, in milliseconds. */
const SLICE_MS = 500;

/** The part of a slice in which a machine's threads run at least, if the machine runs: one at rest has a few percent. */
const RUNNING_SHARE = 0.25;

/** Whom to ask, and what to look at. */
export interface PatienceOptions {
  /** asks the agent; settles when there is an answer, or can be none */
  readonly check: () => Promise<unknown>;
  /** what the machine has done up to now; `undefined` if that is not known */
  readonly look: () => Activity | undefined;
  readonly accelerator: Accelerator;
  /** default: {@linkcode STILL_MS} and {@linkcode SLICE_MS} */
  readonly stillMs?: number;
  readonly sliceMs?: number;
  /** default: by the accelerator */
  readonly busyMs?: number;
}

/**
 * Asks an agent that owes an answer whether it is there.
 *
 * @returns why there is no hope; nothing if it answers, the connection ends, or the machine cannot be looked at
 */
export async function whyHopeless(options: PatienceOptions): Promise<string | undefined> {
  const { check, look, stillMs = STILL_MS, sliceMs = SLICE_MS } = options;
  const { busyMs = BUSY_MS[options.accelerator] } = options;
  const answer = check();
  const first = look();
  let stillFor = 0;
  for (let before = first; first !== undefined && before !== undefined;) {
    const from = performance.now();
    if (await within(answer, sliceMs)) return undefined;
    const took = performance.now() - from;
    const after = look();
    if (after === undefined) return undefined;
    // whoever does not get to run himself cannot judge others by the time
    const isMeasured = took < 2 * sliceMs;
    stillFor = isMeasured && !hasRun(before, after, took) ? stillFor + took : 0;
    if (stillFor >= stillMs) return `its machine has not run for ${seconds(stillMs)}`;
    if (busiestMs(first, after) >= busyMs) {
      return `its machine has run for ${seconds(busyMs)} since it was asked`;
    }
    before = after;
  }
  return undefined;
}

/** Whether the machine ran, or would have if it could, between two looks. */
function hasRun(before: Activity, after: Activity, ms: number): boolean {
  let ns = 0;
  for (const [id, { ranNs, waitedNs, wants }] of after) {
    const then = before.get(id);
    ns += ranNs + waitedNs - (then === undefined ? 0 : then.ranNs + then.waitedNs);
    // waiting all the time, which is counted only when it is over
    if (wants && then?.wants && ranNs === then.ranNs) return true;
  }
  return ns >= ms * 1e6 * RUNNING_SHARE;
}

/** Processor time of the thread that had most of it, in milliseconds. */
function busiestMs(before: Activity, after: Activity): number {
  const times = [...after].map(([id, { ranNs }]) => ranNs - (before.get(id)?.ranNs ?? 0));
  return Math.max(0, ...times) / 1e6;
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
