/**
 * What the management socket knows of a sandbox.
 *
 * @module
 */

import type { Durations } from "../../rpc/metrics_text.ts";
import type { AgentClient } from "../agent_client.ts";
import type { Log } from "../log.ts";

/** A process of the sandbox on the host. */
export interface ManagedProcess {
  readonly role: "vmm" | "virtiofsd";
  readonly pid: number;
}

/** A running sandbox, as those see it who ask about it. */
export interface ManagedSandbox {
  readonly id: string;
  readonly log: Log;
  readonly client: AgentClient;
  /** Where the agent is reached: `vsock://3:1024`. */
  readonly agentUrl: string;
  readonly processes: readonly ManagedProcess[];
  /** Durations of what clients of the front end have asked, if it measures them. */
  readonly taskDurations: Durations | undefined;
  /** Whether what concerns the program itself may be asked (`enable_pprof`). */
  readonly profiling: boolean;
  /** Guest paths of mounted volumes by the block devices they are on. */
  readonly volumes: ReadonlyMap<string, string>;
  /** Ids of containers that exist in the guest. */
  containerIds(): readonly string[];
}
