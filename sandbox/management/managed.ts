/**
 * What the management socket knows of a sandbox.
 *
 * @module
 */

import type { Durations } from "../../rpc/metrics_text.ts";
import type { AgentClient } from "../guest/agent_client.ts";
import type { Log } from "../log/log.ts";

/** A process of the sandbox on the host. */
export interface ManagedProcess {
  readonly role: "vmm" | "virtiofsd";
  readonly pid: number;
}

/** A volume that is mounted in the guest. */
export interface MountedVolume {
  readonly guestPath: string;
  /** Tells the guest the size of its device, which has been enlarged on the host; in bytes. */
  resizeDevice?(bytes: number): Promise<void>;
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
  /** Mounted volumes by the host's block devices that they are on. */
  readonly volumes: ReadonlyMap<string, MountedVolume>;
  /** Ids of containers that exist in the guest. */
  containerIds(): readonly string[];
}
