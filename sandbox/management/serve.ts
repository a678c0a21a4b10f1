/**
 * The management socket of a sandbox, and what is behind it.
 *
 * @module
 */

import type { Durations } from "../../rpc/metrics_text.ts";
import type { Vm } from "../../vm/vmm.ts";
import type { AgentClient } from "../guest/agent_client.ts";
import type { Helper } from "../host.ts";
import type { Sandbox } from "../sandbox.ts";
import type { ManagedProcess, ManagedSandbox } from "./managed.ts";
import type { ManagementSocket } from "./socket.ts";

/** What a sandbox is made of, as far as it can be asked about. */
export interface ManagementNeeds {
  readonly vm: Vm;
  readonly shareServer: Helper | undefined;
  readonly client: AgentClient;
  readonly taskDurations: Durations | undefined;
  readonly volumes: ManagedSandbox["volumes"];
  /** Whether what concerns the program itself may be asked. */
  readonly profiling: boolean;
}

/** Answers requests about a sandbox until its socket is closed. What answers is loaded with the first of them. */
export function serveManagement(socket: ManagementSocket, sandbox: Sandbox, needs: ManagementNeeds): void {
  const { vm, shareServer, client, taskDurations, profiling } = needs;
  const processes: ManagedProcess[] = [{ role: "vmm", pid: vm.pid }];
  if (shareServer) processes.push({ role: "virtiofsd", pid: shareServer.pid });
  socket.serve(async () => {
    const { managementHandler } = await import("./routes.ts");
    return managementHandler({
      id: sandbox.id,
      log: sandbox.log,
      client,
      agentUrl: vm.agentUrl,
      processes,
      taskDurations,
      profiling,
      volumes: needs.volumes,
      containerIds: () => sandbox.containers.filter(({ isInGuest }) => isInGuest).map(({ id }) => id),
    });
  });
}
