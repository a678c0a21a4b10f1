/**
 * containerd's task service. Each handler finds the process, acts, and publishes the event.
 *
 * @module
 */

import { parseProcess, parseResources } from "../../oci/validate.ts";
import { anyTypeName, timestamp } from "../../rpc/any.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import {
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from "../../rpc/gen/events_pb.ts";
import type { Any } from "../../rpc/gen/google/protobuf/any_pb.ts";
import { type DeleteRequest, type DeleteResponse, type StartRequest, Task } from "../../rpc/gen/task_pb.ts";
import type { Init } from "../../rpc/message.ts";
import type { ServiceDefinition } from "../../rpc/ttrpc/server.ts";
import { implement } from "../../rpc/ttrpc/typed.ts";
import { clientIo } from "../../sandbox/io/open.ts";
import type { Process } from "../../sandbox/process.ts";
import { stateOf, type TaskHandlers, withStatus } from "./answers.ts";
import type { Shim, ShimContainer } from "./shim.ts";
import { packMetrics, toMetrics } from "./stats.ts";

const PROCESS_TYPE = "Process";
const RESOURCES_TYPE = "LinuxResources";

/** The service under the names of both of its versions. */
export function taskServices(shim: Shim): ServiceDefinition[] {
  const handlers = taskHandlers(shim);
  return ["containerd.task.v2.Task", "containerd.task.v3.Task"].map((name) =>
    implement(Task, handlers, { name })
  );
}

/** The handlers; what is not here (Checkpoint) is answered with UNIMPLEMENTED. */
function taskHandlers(shim: Shim): TaskHandlers {
  return withStatus({
    create: async (request, { signal }) => ({ pid: await ownFailure(shim.create(request, signal)) }),

    start: async (request) => ({ pid: await start(shim, request) }),

    state: ({ id, execId }) => {
      const found = shim.find(id);
      return stateOf(found.container, processOf(found, execId), found.pid);
    },

    wait: async ({ id, execId }) => {
      const { status, at } = await processOf(shim.find(id), execId).exited;
      return { exitStatus: status, exitedAt: timestamp(at.getTime()) };
    },

    kill: async ({ id, execId, signal, all }) => {
      await processOf(shim.find(id), execId).signal(signal, all && execId === "");
      return {};
    },

    delete: (request) => remove(shim, request),

    exec: ({ id, execId, terminal, stdin, stdout, stderr, spec }) => {
      const { container } = shim.find(id);
      const process = parseProcess(jsonOf(spec, PROCESS_TYPE), "exec");
      const io = clientIo({ terminal, stdin, stdout, stderr }, { namespace: shim.namespace, id });
      container.exec({ id: execId, process, io });
      shim.events.publish("/tasks/exec-added", TaskExecAddedSchema, { containerId: id, execId });
      return {};
    },

    pids: ({ id }) => ({ processes: [{ pid: shim.find(id).pid }] }),

    pause: async ({ id }) => {
      await shim.find(id).container.pause();
      shim.events.publish("/tasks/paused", TaskPausedSchema, { containerId: id });
      return {};
    },

    resume: async ({ id }) => {
      await shim.find(id).container.resume();
      shim.events.publish("/tasks/resumed", TaskResumedSchema, { containerId: id });
      return {};
    },

    resizePty: async ({ id, execId, width, height }) => {
      await processOf(shim.find(id), execId).resize({ rows: height, columns: width });
      return {};
    },

    closeIO: ({ id, execId, stdin }) => {
      if (stdin) processOf(shim.find(id), execId).closeInput();
      return {};
    },

    update: async ({ id, resources }) => {
      const { container } = shim.find(id);
      await container.update(parseResources(jsonOf(resources, RESOURCES_TYPE)));
      return {};
    },

    stats: async ({ id }) => {
      const stats = await shim.find(id).container.stats();
      if (stats === undefined) throw new RpcError(Code.NotFound, `container "${id}" has no statistics`);
      return { stats: await packMetrics(toMetrics(stats)) };
    },

    connect: ({ id }) => {
      return { shimPid: Deno.pid, taskPid: shim.lookUp(id)?.pid ?? 0, version: "" };
    },

    shutdown: () => {
      if (shim.isEmpty) shim.requestExit();
      return {};
    },
  }, shim.durations);
}

async function start(shim: Shim, { id, execId }: StartRequest): Promise<number> {
  const { container, pid, reports } = shim.find(id);
  if (execId === "") {
    await ownFailure(container.start());
    shim.events.publish("/tasks/start", TaskStartSchema, { containerId: id, pid });
    reports.initStarted(container.init);
    return pid;
  }
  const exec = container.execs.get(execId);
  if (exec === undefined) throw noExec(id, execId);
  await reports.execStarting(exec.process, async () => {
    await ownFailure(exec.start());
    shim.events.publish("/tasks/exec-started", TaskExecStartedSchema, { containerId: id, execId, pid });
  });
  return pid;
}

async function remove(shim: Shim, { id, execId }: DeleteRequest): Promise<Init<DeleteResponse>> {
  // containerd deletes what it has given up to create
  await shim.cancelCreation(id);
  const { container, pid, reports } = shim.find(id);
  if (execId !== "") {
    const { status, at } = await container.deleteExec(execId);
    return { pid, exitStatus: status, exitedAt: timestamp(at.getTime()) };
  }
  const exit = await shim.delete(id);
  const answer = { pid, exitStatus: exit.status, exitedAt: timestamp(exit.at.getTime()) };
  await reports.initReported();
  shim.events.publish("/tasks/delete", TaskDeleteSchema, { containerId: id, id: "", ...answer });
  return answer;
}

/**
 * A program that is not there is no container that is not there: only the latter may be "not found" to containerd,
 * which would take the container for gone.
 */
async function ownFailure<T>(action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.NotFound) throw error;
    throw new RpcError(Code.Unknown, error.message, { cause: error });
  }
}

function processOf({ container }: ShimContainer, execId: string): Process {
  if (execId === "") return container.init;
  const exec = container.execs.get(execId);
  if (exec === undefined) throw noExec(container.id, execId);
  return exec.process;
}

function noExec(id: string, execId: string): RpcError {
  return new RpcError(Code.NotFound, `exec "${execId}" of container "${id}" does not exist`);
}

/** The JSON in an Any whose type ends with this name. */
function jsonOf(any: Any | undefined, type: string): string {
  const name = any === undefined ? "" : anyTypeName(any);
  if (any === undefined || name !== type) {
    throw new RpcError(
      Code.InvalidArgument,
      `the message must hold a ${type}: it holds "${any?.typeUrl ?? ""}"`,
    );
  }
  return new TextDecoder().decode(any.value);
}
