import assert from "node:assert/strict";
import {
  bitMask,
  ioPriorityNumber,
  memoryPolicyNumbers,
  numberList,
  personalityNumber,
  schedulerNumbers,
} from "./scheduling.ts";

Deno.test("names of scheduling, priorities and memory become the kernel's numbers", () => {
  const flags = ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_KEEP_PARAMS"];
  assert.deepEqual(schedulerNumbers({ policy: "SCHED_BATCH", nice: -5, flags }, "s"), {
    policy: 3,
    flags: 17,
    nice: -5,
    priority: 0,
    runtime: 0,
    deadline: 0,
    period: 0,
  });
  assert.equal(
    schedulerNumbers({ policy: "SCHED_DEADLINE", runtime: 1, deadline: 2, period: 3n }, "s").period,
    3n,
  );
  assert.equal(ioPriorityNumber({ class: "IOPRIO_CLASS_BE", priority: 4 }, "i"), 0x4004);
  assert.equal(ioPriorityNumber({ class: "IOPRIO_CLASS_IDLE" }, "i"), 0x6000);
  assert.equal(personalityNumber({ domain: "LINUX32" }, "p"), 8);
  const policy = { mode: "MPOL_BIND", nodes: "0-1,4", flags: ["MPOL_F_STATIC_NODES"] };
  assert.deepEqual(memoryPolicyNumbers(policy, "m"), { mode: 0x8002, nodes: [0, 1, 4] });
  assert.deepEqual(memoryPolicyNumbers({ mode: "MPOL_LOCAL" }, "m"), { mode: 4, nodes: [] });
});

Deno.test("lists of numbers are sets, and masks are whole words", () => {
  assert.deepEqual(numberList("7, 0-2,1", "x"), [0, 1, 2, 7]);
  assert.deepEqual([...bitMask([0, 1, 9])], [3, 2, 0, 0, 0, 0, 0, 0]);
  assert.equal(bitMask([64]).length, 16);
  assert.deepEqual([...bitMask([])], [0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("what the kernel does not have, or the policy does not use, is refused", () => {
  const refused: [() => unknown, RegExp][] = [
    [
      () => schedulerNumbers({ policy: "SCHED_FAST" }, "s"),
      /^s\.policy must be one of SCHED_OTHER, .*: it is "SCHED_FAST"$/,
    ],
    [() => schedulerNumbers({ policy: "toString" }, "s"), /^s\.policy must be one of/],
    [
      () => schedulerNumbers({ policy: "SCHED_FIFO", priority: 1, nice: 3 }, "s"),
      /^s\.nice is only for SCHED_OTHER/,
    ],
    [() => schedulerNumbers({ policy: "SCHED_RR" }, "s"), /^s\.priority must be a number from 1 to 99/],
    [
      () => schedulerNumbers({ policy: "SCHED_IDLE", runtime: 5 }, "s"),
      /^s\.runtime is only for SCHED_DEADLINE/,
    ],
    [() => schedulerNumbers({ policy: "SCHED_OTHER", flags: ["X"] }, "s"), /^s\.flags\[0\] must be one of/],
    [() => ioPriorityNumber({ class: "X" }, "i"), /^i\.class must be one of/],
    [() => personalityNumber({ domain: "BSD" }, "p"), /^p\.domain must be one of LINUX, LINUX32/],
    [() => personalityNumber({ domain: "LINUX", flags: ["X"] }, "p"), /^p\.flags must be empty/],
    [() => memoryPolicyNumbers({ mode: "MPOL_BIND" }, "m"), /^m\.nodes must be given for MPOL_BIND/],
    [() => memoryPolicyNumbers({ mode: "MPOL_LOCAL", nodes: "0" }, "m"), /^m\.nodes cannot be given/],
    ...["", "a", "3-1", "0-", "70000", "1,,2"].map((list) =>
      [() => numberList(list, "n"), /^n must be numbers and ranges/] as [() => unknown, RegExp]
    ),
  ];
  for (const [act, message] of refused) assert.throws(act, (error: Error) => message.test(error.message));
});
