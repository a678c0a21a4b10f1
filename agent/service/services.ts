import { Code } from "../../rpc/errors.ts";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { GuestPorts } from "../../rpc/gen/ports_pb.ts";
import { Health } from "../../rpc/gen/health_pb.ts";
import type { CallContext, ServiceDefinition } from "../../rpc/ttrpc/server.ts";
import { type Handlers, implement } from "../../rpc/ttrpc/typed.ts";
import type { Methods } from "../../rpc/service.ts";
import type { Logger, LogLevel } from "../log.ts";
import { Policy } from "../policy.ts";
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
  const policy = new Policy();
  const handlers: Handlers<typeof AgentService.methods> = {
    ...sandboxHandlers(sandbox, options.destroyed),
    ...containerHandlers(sandbox),
    ...streamHandlers(sandbox, options.unitBytes),
    ...networkHandlers(options.devices, options.hotplugTimeoutMs),
    ...machineHandlers({ ...options, deviceFinder: () => sandbox.deviceFinder() }),
    ...operationHandlers(options),
    async setPolicy({ policy: text }) {
      await policy.set(text);
      return {};
    },
  };
  const { log } = options;
  const ports = guarded(portHandlers(), { log, policy, requestOf: () => PORT_REQUEST });
  const consoles = guarded(consoleHandlers(options), { log, policy, requestOf: () => CONSOLE_REQUEST });
  return [
    implement(AgentService, guarded(handlers, { log, policy, requestOf: agentRequest })),
    implement(Health, healthHandlers),
    implement(GuestPorts, ports),
    implement(GuestConsole, consoles),
  ];
}

/** Policies do not know of consoles and ports: what a console can do an exec can, and a port takes data. */
const CONSOLE_REQUEST = "ExecProcessRequest";
const PORT_REQUEST = "WriteStreamRequest";

/** The name that policies have for a request: that of its message, without the package. */
function agentRequest(method: string): string {
  const methods: Methods = AgentService.methods;
  return methods[method]?.input.typeName.split(".").at(-1) ?? method;
}

/** What their answers carry is left out of them where a policy denies it: a reader goes on to the end. */
const EMPTIED: readonly string[] = ["readStdout", "readStderr"];

const NOTHING = { data: new Uint8Array() };

interface GuardOptions {
  readonly log: Logger;
  readonly policy: Policy;
  /** the name that policies have for a method's request */
  requestOf(method: string): string;
}

type AnyHandler = (request: never, context: CallContext) => unknown;

/** The policy is asked first; and every failure leaves with a code and a sentence, whatever was thrown. */
function guarded<H extends object>(handlers: H, { log, policy, requestOf }: GuardOptions): H {
  const wrap = (name: string, handler: AnyHandler): AnyHandler => async (request, context) => {
    try {
      const isEmptied = EMPTIED.includes(name);
      if (!isEmptied) policy.check(requestOf(name));
      const answer = await handler(request, context);
      return isEmptied && !policy.allows(requestOf(name)) ? NOTHING : answer;
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
