/** Running plans: from the clone up to the point where a process waits, and from there into its program. */

import type { Process } from "../../oci/spec.ts";
import { launch, type Launched } from "../../sys/launch.ts";
import type { ChildProcess } from "../../sys/process.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { killsIn } from "./cgroup/kills.ts";
import { OutOfMemoryError, processError } from "./errors.ts";
import { streamFds } from "./facts.ts";
import type { ProcessPlan } from "./plan/container.ts";
import { CREATED, MOUNTED } from "./plan/names.ts";
import type { StdioEnds } from "./stdio.ts";

/** Where and how a plan is run. All descriptors stay the caller's. */
export interface PrepareOptions {
  readonly plan: ProcessPlan;
  readonly process: Process;
  readonly io: StdioEnds;
  /** folder of the cgroup that the child starts in; absent: the caller's cgroup */
  readonly cgroupFd: number | undefined;
  /** pid namespace that the child starts in; absent: that of the plan's clone flags, else the caller's */
  readonly pidNamespaceFd: number | undefined;
  /** awaited where the plan waits for hooks */
  readonly onMounted?: (child: ChildProcess) => Promise<void>;
}

/**
 * Runs a plan up to the point where the child waits.
 *
 * @throws {ExecutableError} if there is no such program in the container, or it cannot be run
 * @throws {StepError} if a step failed
 */
export async function prepare(options: PrepareOptions): Promise<Launched> {
  const { plan, process, io, cgroupFd, pidNamespaceFd } = options;
  await using taken = new AsyncDisposableStack();
  const launched = taken.use(launch(plan.program, {
    flags: plan.flags,
    ...(cgroupFd !== undefined && { cgroupFd }),
    ...(pidNamespaceFd !== undefined && { pidNamespaceFd }),
    fds: streamFds(io),
    inherit: plan.inherit,
  }));
  try {
    for (const copyUp of plan.copyUps ?? []) {
      await launched.reached(copyUp.checkpoint);
      const { fill } = await import("./copy_up.ts");
      await fill(copyUp, launched.child.pid);
      launched.go();
    }
    if (plan.program.checkpoints.has(MOUNTED)) {
      await launched.reached(MOUNTED);
      await options.onMounted?.(launched.child);
      launched.go();
    }
    await launched.reached(CREATED);
  } catch (error) {
    const ranOut = launched.child.status?.signal === SIGNALS.SIGKILL && cgroupFd !== undefined &&
      killsIn(`/proc/self/fd/${cgroupFd}/memory.events`) > 0;
    throw ranOut ? new OutOfMemoryError(error) : processError(error, process.args[0] ?? "");
  }
  taken.move();
  return launched;
}

/** Lets a child go on into its program. */
export async function run(launched: Launched, process: Process): Promise<void> {
  launched.go();
  try {
    await launched.executed();
  } catch (error) {
    throw processError(error, process.args[0] ?? "");
  }
}
