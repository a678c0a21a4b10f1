/**
 * What the task service says about processes, and how it says that something went wrong.
 *
 * @module
 */

import { SpecError } from "../../oci/validate.ts";
import { timestamp } from "../../rpc/any.ts";
import { Code, ConnectionClosed, RpcError } from "../../rpc/errors.ts";
import type { StateResponse, Task } from "../../rpc/gen/task_pb.ts";
import { Status } from "../../rpc/gen/task_types_pb.ts";
import type { Init } from "../../rpc/message.ts";
import type { Durations } from "../../rpc/metrics_text.ts";
import type { CallContext } from "../../rpc/ttrpc/server.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import type { Container, ContainerStatus } from "../../sandbox/container.ts";
import type { Process } from "../../sandbox/process.ts";

/** The task service's methods. */
export type TaskHandlers = Handlers<typeof Task.methods>;

const STATUS: Readonly<Record<ContainerStatus, Status>> = {
  created: Status.CREATED,
  running: Status.RUNNING,
  stopped: Status.STOPPED,
  paused: Status.PAUSED,
  pausing: Status.PAUSING,
};

/** State of a process of a container. @param pid shown for it */
export function stateOf(container: Container, process: Process, pid: number): Init<StateResponse> {
  const { kind } = process.state;
  const exit = process.state.kind === "stopped" ? process.state.exit : undefined;
  // an exec that runs in a paused container is paused as well
  const status = process === container.init || kind === "running"
    ? STATUS[container.status]
    : STATUS[own(kind)];
  return {
    id: process.id,
    bundle: container.bundle,
    pid,
    status: exit === undefined ? status : Status.STOPPED,
    stdin: process.stdio.stdin,
    stdout: process.stdio.stdout,
    stderr: process.stdio.stderr,
    terminal: process.stdio.terminal,
    exitStatus: exit?.status ?? 0,
    exitedAt: exit && timestamp(exit.at.getTime()),
  };
}

function own(kind: Process["state"]["kind"]): ContainerStatus {
  return kind === "stopped" || kind === "running" ? kind : "created";
}

/** Any failure of a handler as the status that containerd shall get. */
export function toStatus(thrown: unknown): RpcError {
  const error = thrown instanceof SuppressedError ? thrown.suppressed : thrown;
  if (error instanceof SpecError) return new RpcError(Code.InvalidArgument, error.message, { cause: thrown });
  // clients of a shim take the text of ttrpc's own error for the end of *their* connection
  if (error instanceof ConnectionClosed) {
    return new RpcError(Code.Unavailable, "the connection to the agent in the guest ended", {
      cause: thrown,
    });
  }
  if (error instanceof Error && error.name === "ConfigError") {
    return new RpcError(Code.InvalidArgument, error.message, { cause: thrown });
  }
  return RpcError.from(thrown);
}

/** Handlers whose failures have become statuses, and whose durations are measured. */
export function withStatus(handlers: TaskHandlers, durations: Durations): TaskHandlers {
  const wrapped = Object.entries(handlers).map(([name, handler]) => [
    name,
    async (request: never, context: CallContext) => {
      try {
        return await durations.measure(snakeCase(name), () => handler(request, context));
      } catch (error) {
        throw toStatus(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped);
}

/** `resizePty` as `resize_pty`, which is what metrics call it. */
function snakeCase(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();
}
