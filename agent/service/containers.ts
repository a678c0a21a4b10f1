import { processFromWire, resourcesFromWire } from "../../oci/wire.ts";
import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { invalidArgument } from "../errors.ts";
import { readNetworkStats } from "../network_stats.ts";
import { checkSignal, refusePorts } from "../request_checks.ts";
import type { Sandbox } from "../sandbox.ts";

/** The life of containers and their processes. */
export function containerHandlers(sandbox: Sandbox): Handlers<typeof AgentService.methods> {
  return {
    async createContainer(request, { signal }) {
      await sandbox.createContainer(request, signal);
      return {};
    },
    async startContainer({ containerId }) {
      await sandbox.container(containerId).start();
      return {};
    },
    async removeContainer({ containerId, timeout }) {
      await sandbox.remove(containerId, timeout * 1000);
      return {};
    },
    async execProcess(request) {
      const container = sandbox.container(request.containerId);
      refusePorts(request);
      if (request.execId === "") {
        throw invalidArgument(`a process to execute needs an id: "exec_id" is empty`);
      }
      if (!request.process) {
        throw invalidArgument(`process "${request.execId}" needs a specification: "process" is missing`);
      }
      await container.exec(request.execId, processFromWire(request.process));
      return {};
    },
    async signalProcess({ containerId, execId, signal }) {
      await sandbox.container(containerId).signal(execId, checkSignal(signal));
      return {};
    },
    async waitProcess({ containerId, execId }, { signal }) {
      return { status: await sandbox.container(containerId).wait(execId, signal) };
    },
    async updateContainer({ containerId, resources }) {
      const container = sandbox.container(containerId);
      if (resources) await container.update(resourcesFromWire(resources));
      return {};
    },
    async statsContainer({ containerId }) {
      const cgroupStats = await sandbox.container(containerId).stats();
      return { cgroupStats, networkStats: readNetworkStats() };
    },
    async pauseContainer({ containerId }) {
      await sandbox.container(containerId).pause();
      return {};
    },
    async resumeContainer({ containerId }) {
      await sandbox.container(containerId).resume();
      return {};
    },
  };
}
