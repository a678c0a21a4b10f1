import assert from "node:assert/strict";
import { loopIdle, loopTurns } from "./event_loop.ts";
import { delay, inTime, Timer } from "./timer.ts";

Deno.test("timers fire in the order of their times, not before, and equal ones in the order of their making", async () => {
  const fired: string[] = [];
  const start = performance.now();
  const early: number[] = [];
  const made: { readonly name: string; readonly timer: Timer }[] = [];
  const make = (name: string, ms: number) => {
    const timer = new Timer(ms, () => {
      fired.push(name);
      if (performance.now() - start < ms) early.push(ms);
    });
    made.push({ name, timer });
  };
  make("c", 30);
  make("a", 10);
  make("b", 20);
  make("now", 0);
  make("before", -5);
  await delay(40);
  // a busy machine may take longer to make two than lies between their times
  const due = made.toSorted((one, other) => one.timer.deadline - other.timer.deadline);
  assert.deepEqual(fired, due.map(({ name }) => name));
  assert.deepEqual(early, []);
  await loopIdle();
});

Deno.test("what does not come in time is an error, and what comes later is dropped", async () => {
  const late = () => new Error("late");
  assert.equal(await inTime(Promise.resolve(7), 3_600_000, late), 7);
  await assert.rejects(inTime(Promise.reject(new Error("broken")), 3_600_000, late), { message: "broken" });
  const slow = Promise.withResolvers<number>();
  await assert.rejects(inTime(slow.promise, 1, late), { message: "late" });
  slow.reject(new Error("later"));
  await loopIdle();
});

Deno.test("a cancelled timer does not fire, and keeps nothing waiting", async () => {
  const timer = new Timer(3_600_000, () => assert.fail("fired"));
  timer.cancel();
  timer.cancel();
  await loopIdle();
  {
    using _ = new Timer(3_600_000, () => assert.fail("fired"));
  }
  await loopIdle();
  const done = new Timer(0, () => {});
  await delay(1);
  done.cancel();
  await loopIdle();
});

Deno.test("a timer can make and cancel others", async () => {
  const fired: string[] = [];
  const made = Promise.withResolvers<void>();
  const victim = new Timer(20, () => fired.push("victim"));
  new Timer(1, () => {
    victim.cancel();
    new Timer(1, () => {
      fired.push("second");
      made.resolve();
    });
    fired.push("first");
  });
  await Promise.all([delay(30), made.promise]);
  assert.deepEqual(fired, ["first", "second"]);
  await loopIdle();
});

Deno.test("a time further away than a sooner timer is not forgotten", async () => {
  const far = delay(20);
  const near = new Timer(5, () => {});
  near.cancel();
  await far;
  await Promise.all([delay(3), delay(1), delay(2)]);
  await loopIdle();
});

Deno.test("deadlines that are set and cancelled all the time do not wake the program", async () => {
  using keep = new Timer(3_600_000, () => {});
  await delay(1);
  const before = loopTurns();
  for (let i = 0; i < 1000; i++) new Timer(60_000 + i, () => {}).cancel();
  await delay(1);
  assert.ok(loopTurns() - before < 10, `${loopTurns() - before} turns`);
  keep.cancel();
  await loopIdle();
});
