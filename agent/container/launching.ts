/** Running plans: from the clone up to the point where a process waits, and from there into its program. */

import type { Process } from "../../oci/spec.ts";
import { launch, type Launched } from "../../sys/launch.ts";
import type { ChildProcess } from "../../sys/process.ts";
import { processError } from "./errors.ts";
import { streamFds } from "./facts.ts";
import type { ProcessPlan } from "./plan/container.ts";
import { CREATED, MOUNTED } from "./plan/names.ts";
import type { StdioEnds } from "./stdio.ts";

/**
 * Runs a plan up to the point where the child waits.
 *
 * @param mounted is awaited where the plan waits for hooks
 */
export async function prepare(
  plan: ProcessPlan,
  process: Process,
  io: StdioEnds,
  cgroupFd: number | undefined,
  pidNamespaceFd: number | undefined,
  mounted?: (child: ChildProcess) => Promise<void>,
): Promise<Launched> {
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
      await mounted?.(launched.child);
      launched.go();
    }
    await launched.reached(CREATED);
  } catch (error) {
    throw processError(error, process.args[0] ?? "");
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
