import assert from "node:assert/strict";
import type { Activity } from "../../sys/activity.ts";
import { type PatienceOptions, whyHopeless } from "./patience.ts";

const NEVER = () => new Promise<never>(() => {});

/** Counters that advance by this with each look, in milliseconds of one thread. */
function looking(...perLook: readonly { ran?: number; waited?: number; wants?: boolean }[]): () => Activity {
  let at = 0;
  let ranNs = 0;
  let waitedNs = 0;
  return () => {
    const { ran = 0, waited = 0, wants = false } = perLook[Math.min(at++, perLook.length - 1)] ?? {};
    ranNs += ran * 1e6;
    waitedNs += waited * 1e6;
    return new Map([[1, { ranNs, waitedNs, wants }], [2, { ranNs: 0, waitedNs: 0, wants: false }]]);
  };
}

function ask(change: Partial<PatienceOptions>): Promise<string | undefined> {
  return whyHopeless({
    check: NEVER,
    look: looking({}),
    accelerator: "tcg",
    stillMs: 60,
    sliceMs: 20,
    busyMs: 1_000,
    ...change,
  });
}

/** An answer that comes after so many looks. */
function answerAfter(looks: number, look: () => Activity): Pick<PatienceOptions, "check" | "look"> {
  const answer = Promise.withResolvers<void>();
  let left = looks;
  return {
    check: () => answer.promise,
    look: () => {
      if (left-- === 0) answer.resolve();
      return look();
    },
  };
}

Deno.test("a machine that stands still is given up", async () => {
  assert.equal(await ask({}), "its machine has not run for 0.06 s");
});

Deno.test("an agent that answers is there, and one whose connection has ended is somebody else's concern", async () => {
  assert.equal(await ask({ check: () => Promise.resolve() }), undefined);
  assert.equal(await ask({ check: () => Promise.reject(new Error("closed")) }), undefined);
});

for (
  const [what, step] of Object.entries({
    "runs": { ran: 15 },
    "waits for a processor": { waited: 15 },
    "has waited for a processor all the time": { wants: true },
  })
) {
  Deno.test(`a machine that ${what} is waited for`, async () => {
    assert.equal(await ask(answerAfter(12, looking(step))), undefined);
  });
}

Deno.test("a machine at rest does not run, for all that its timers do", async () => {
  assert.match(await ask({ look: looking({ ran: 1 }) }) ?? "", /has not run/);
});

Deno.test("standing still counts from the last time that the machine ran", async () => {
  const moments = [{}, {}, { ran: 15 }];
  const look = looking(...moments, ...moments, ...moments, ...moments);
  assert.equal(await ask({ ...answerAfter(11, look), stillMs: 100 }), undefined);
  assert.match(await ask({ ...answerAfter(11, looking({})), stillMs: 100 }) ?? "", /has not run/);
});

Deno.test("a machine that runs and runs, but does not answer, is given up by its processor time", async () => {
  assert.equal(await ask({ look: looking({ ran: 300 }) }), "its machine has run for 1 s since it was asked");
});

Deno.test("a machine that cannot be looked at is left to the watchdog", async () => {
  assert.equal(await ask({ look: () => undefined }), undefined);
});
