/**
 * containerd's Sandbox service, which creates a pod without a pause container.
 *
 * @module
 */

import { timestamp } from "../../rpc/any.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { Sandbox } from "../../rpc/gen/sandbox_pb.ts";
import type { ServiceDefinition } from "../../rpc/ttrpc/server.ts";
import { type Handlers, implement } from "../../rpc/ttrpc/typed.ts";
import { toStatus } from "./answers.ts";
import type { Pod } from "./pod.ts";
import type { Shim } from "./shim.ts";

type SandboxHandlers = Handlers<typeof Sandbox.methods>;

/** The service. What it needs is loaded when a client uses it: most do not. */
export function sandboxService(shim: Shim): ServiceDefinition {
  return implement(Sandbox, withStatus(handlers(shim)));
}

/** Names of processors in Go. */
const ARCHITECTURES = { x86_64: "amd64", aarch64: "arm64" } as const;

function handlers(shim: Shim): SandboxHandlers {
  const find = (id: string): Pod => {
    if (shim.pod?.id === id) return shim.pod;
    throw new RpcError(Code.NotFound, `sandbox "${id}" does not exist`);
  };
  return {
    createSandbox: async (request) => {
      const { Pod } = await import("./pod.ts");
      shim.holdPod(new Pod(shim, request));
      return {};
    },

    startSandbox: async ({ sandboxId }, { signal }) => {
      const { pid, createdAt } = await find(sandboxId).start(signal);
      return { pid, createdAt: timestamp(createdAt.getTime()) };
    },

    platform: () => ({ platform: { os: "linux", architecture: ARCHITECTURES[Deno.build.arch] } }),

    stopSandbox: async ({ sandboxId }) => {
      await find(sandboxId).stop();
      return {};
    },

    waitSandbox: async ({ sandboxId }) => {
      const { status, at } = await find(sandboxId).exited;
      return { exitStatus: status, exitedAt: timestamp(at.getTime()) };
    },

    sandboxStatus: ({ sandboxId }) => {
      const { isReady, pid, createdAt, exit } = find(sandboxId).status;
      return {
        sandboxId,
        pid,
        state: isReady ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
        createdAt: createdAt && timestamp(createdAt.getTime()),
        exitedAt: exit && timestamp(exit.at.getTime()),
      };
    },

    pingSandbox: async ({ sandboxId }) => {
      await find(sandboxId).ping();
      return {};
    },

    shutdownSandbox: async ({ sandboxId }) => {
      // asked for after a failed creation, too, and perhaps twice
      if (shim.pod?.id === sandboxId) await shim.pod.stop();
      shim.requestExit();
      return {};
    },

    sandboxMetrics: async ({ sandboxId }) => {
      const { packMetrics } = await import("./stats.ts");
      const data = await packMetrics(await find(sandboxId).metrics());
      return { metrics: { timestamp: timestamp(), id: sandboxId, data } };
    },
  };
}

/** Handlers whose failures have become statuses. */
function withStatus(handlers: SandboxHandlers): SandboxHandlers {
  const wrapped = Object.entries(handlers).map(([name, handler]) => [
    name,
    async (request: never, context: never) => {
      try {
        return await handler(request, context);
      } catch (error) {
        throw toStatus(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped);
}
