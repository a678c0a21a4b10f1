/**
 * The connection to the agent in the guest: retried until the guest has booted, typed, with a time limit on every call
 * that has to end.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { Health } from "../../rpc/gen/health_pb.ts";
import { Durations } from "../../rpc/metrics_text.ts";
import type { Methods, Service } from "../../rpc/service.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { type CallOptions, TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { Timer } from "../../sys/timer.ts";
import { type Log, reason } from "../log/log.ts";
import { abortable, pause } from "../timing.ts";

/** Longest that an ordinary call may take, in milliseconds (host.md I: 60 s). */
export const CALL_TIMEOUT_MS = 60_000;

/** Longest that a liveness check may take, in milliseconds (host.md I: 30 s). */
export const CHECK_TIMEOUT_MS = 30_000;

/** How long an answer that somebody waits for to end something may take before the guest is doubted, in milliseconds. */
const OVERDUE_MS = 1_000;

/** Pause between two tries to reach an agent that does not listen yet, in milliseconds. */
const RETRY_MS = 20;

/** The part of a virtual machine that a connection needs. */
export interface AgentAddress {
  /** One try; rejects if nobody answers yet. */
  connectAgent(signal?: AbortSignal): Promise<ByteStream>;
}

/** How to connect. */
export interface ConnectOptions {
  /** for all attempts together, in milliseconds */
  readonly dialTimeoutMs: number;
  /** aborts; its reason becomes the error */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Typed calls to one agent. */
export class AgentClient {
  readonly agent: ServiceClient<typeof AgentService.methods>;
  readonly health: ServiceClient<typeof Health.methods>;
  /** Settles when the connection has ended, for whatever reason. */
  readonly closed: Promise<Error | undefined>;
  /** How long calls took, by the names of their requests. */
  readonly durations = new Durations();
  readonly #client: TtrpcClient;
  #doubt: () => void = () => {};

  constructor(stream: ByteStream) {
    this.#client = new TtrpcClient(stream);
    this.agent = observed(AgentService, this.#client, this.durations);
    this.health = observed(Health, this.#client, this.durations);
    this.closed = this.#client.closed;
  }

  /**
   * Retries until the agent answers a health check; this is also the wait for the guest's boot.
   *
   * @throws {RpcError} `DEADLINE_EXCEEDED` when it never answers
   * @throws the signal's reason
   */
  static async connect(address: AgentAddress, options: ConnectOptions): Promise<AgentClient> {
    const { dialTimeoutMs, log } = options;
    const deadline = performance.now() + dialTimeoutMs;
    const late = new RpcError(
      Code.DeadlineExceeded,
      `the agent did not answer within ${dialTimeoutMs / 1000} s`,
    );
    const limit = new AbortController();
    const timer = new Timer(dialTimeoutMs, () => limit.abort(late));
    const signal = AbortSignal.any([options.signal, limit.signal]);
    let last = "";
    try {
      while (true) {
        signal.throwIfAborted();
        try {
          return await connectOnce(address, signal, deadline - performance.now());
        } catch (error) {
          signal.throwIfAborted();
          if (reason(error) !== last) log.write("debug", `the agent is not there yet: ${reason(error)}`);
          last = reason(error);
        }
        await pause(RETRY_MS, signal);
      }
    } finally {
      timer.cancel();
    }
  }

  /** Calls of another service of the agent. */
  service<M extends Methods>(service: Service<M>): ServiceClient<M> {
    return observed(service, this.#client, this.durations);
  }

  /** Calls back whenever the agent owes an {@linkcode urgent} answer. */
  onDoubt(doubt: () => void): void {
    this.#doubt = doubt;
  }

  /** A call that ends something: nobody shall wait for its whole time limit when the guest hangs. */
  async urgent<T>(call: Promise<T>): Promise<T> {
    const timer = new Timer(OVERDUE_MS, () => this.#doubt());
    try {
      return await call;
    } finally {
      timer.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** Calls that stream output: they block until something is written, so they have no time limit. */
const NOT_MEASURED = ["readStdout", "readStderr", "read"];

/** Typed calls whose durations are recorded; a timeout error names the call and its limit. */
function observed<M extends Methods>(
  service: Service<M>,
  client: TtrpcClient,
  durations: Durations,
): ServiceClient<M> {
  type Call = (request: unknown, options?: CallOptions) => Promise<unknown>;
  const calls = serviceClient(service, client) as Record<string, Call>;
  const wrapped = Object.entries(calls).map(([name, call]) => {
    const action = service.methods[name]?.input.typeName ?? name;
    const named: Call = async (request, options) => {
      try {
        const made = () => call(request, options);
        return await (NOT_MEASURED.includes(name) ? made() : durations.measure(action, made));
      } catch (error) {
        const isLate = error instanceof RpcError && error.code === Code.DeadlineExceeded;
        if (!isLate || options?.timeoutMs === undefined) throw error;
        const text = `the agent did not answer "${name}" within ${options.timeoutMs / 1000} s`;
        throw new RpcError(error.code, text, { cause: error });
      }
    };
    return [name, named];
  });
  return Object.fromEntries(wrapped) as ServiceClient<M>;
}

async function connectOnce(address: AgentAddress, signal: AbortSignal, leftMs: number): Promise<AgentClient> {
  const stream = await abortable(address.connectAgent(signal), signal, (late) => late.close());
  const client = new AgentClient(stream);
  try {
    await abortable(client.health.check({}, { timeoutMs: Math.max(1, Math.ceil(leftMs)) }), signal);
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}
