import { Code } from "../../rpc/errors.ts";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import { Health } from "../../rpc/gen/health_pb.ts";
import type { CallContext, ServiceDefinition } from "../../rpc/ttrpc/server.ts";
import { type Handlers, implement } from "../../rpc/ttrpc/typed.ts";
import type { Logger, LogLevel } from "../log.ts";
import type { Devices, Sandbox } from "../sandbox.ts";
import { consoleHandlers } from "./console.ts";
import { containerHandlers } from "./containers.ts";
import { healthHandlers } from "./health.ts";
import { machineHandlers } from "./machine.ts";
import { networkHandlers } from "./network.ts";
import { portHandlers } from "./ports.ts";
import { operationHandlers } from "./operations.ts";
import { sandboxHandlers } from "./sandbox_calls.ts";
import { toStatus } from "./status.ts";
import { streamHandlers } from "./streams.ts";

/** What the services are made of besides the sandbox. */
export interface ServiceOptions {
  /** Folder of everything the agent makes. */
  readonly base: string;
  /** Whether the agent is PID 1. */
  readonly init: boolean;
  /** Most bytes that the channel takes at once, if there is such a limit. */
  readonly unitBytes?: number | undefined;
  readonly devices: Devices;
  /** How long a link that is being plugged in may take to appear, in milliseconds. */
  readonly hotplugTimeoutMs: number;
  readonly log: Logger;
  /** Whether operators may have a shell in the guest. */
  readonly debugConsole: boolean;
  /** Changes what is logged from now on. */
  readonly setLogLevel: (level: LogLevel) => void;
  /** Is called when the sandbox is gone and the answer is about to be sent. */
  readonly destroyed: () => void;
}

/**
 * Everything that the agent serves. Methods of the API that are missing here are answered with `Unimplemented` and
 * their name.
 */
export function agentServices(sandbox: Sandbox, options: ServiceOptions): ServiceDefinition[] {
  const handlers: Handlers<typeof AgentService.methods> = {
    ...sandboxHandlers(sandbox, options.destroyed),
    ...containerHandlers(sandbox),
    ...streamHandlers(sandbox, options.unitBytes),
    ...networkHandlers(options.devices, options.hotplugTimeoutMs),
    ...machineHandlers({ ...options, deviceFinder: () => sandbox.deviceFinder() }),
    ...operationHandlers(options),
  };
  return [
    implement(AgentService, guarded(handlers, options.log)),
    implement(Health, healthHandlers),
    implement(GuestPorts, guarded(portHandlers(), options.log)),
    implement(GuestConsole, guarded(consoleHandlers(options), options.log)),
  ];
}

type AnyHandler = (request: never, context: CallContext) => unknown;

/** Every failure leaves with a code and a sentence, whatever was thrown. */
function guarded<H extends object>(handlers: H, log: Logger): H {
  const wrap = (name: string, handler: AnyHandler): AnyHandler => async (request, context) => {
    try {
      return await handler(request, context);
    } catch (error) {
      const status = toStatus(error);
      // the end of a stream is told as an error, too
      const what = status.code === Code.OutOfRange ? "ended" : "failed";
      if (log.enabled("debug")) log.debug(`${name} ${what}`, { code: status.code, error: status.message });
      throw status;
    }
  };
  const entries = Object.entries(handlers).map((
    [name, handler],
  ) => [name, wrap(name, handler as AnyHandler)]);
  return Object.fromEntries(entries) as H;
}
