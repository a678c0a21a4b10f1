/**
 * A guest for tests: it speaks the agent's protocol, and does what a test tells it at the moment of its choice. Its
 * use is the injection of faults and of orders of events; what an agent really does is tested with the real one.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { AgentService, type CreateContainerRequest } from "../../rpc/gen/agent_pb.ts";
import { Health } from "../../rpc/gen/health_pb.ts";
import { type ByteStream, streamPair } from "../../rpc/stream.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { type Handlers, implement } from "../../rpc/ttrpc/typed.ts";

/** One process over there; the test decides what it writes and when it ends. */
export class FakeProcess {
  readonly exited = Promise.withResolvers<number>();
  readonly #outputs = { stdout: new Output(), stderr: new Output() };
  readonly input: number[] = [];
  readonly inputClosed = Promise.withResolvers<void>();
  readonly signals: number[] = [];
  size: string | undefined;

  write(text: string | Uint8Array, which: "stdout" | "stderr" = "stdout"): void {
    this.#outputs[which].push(typeof text === "string" ? new TextEncoder().encode(text) : text);
  }

  /** It ends; its outputs with it, unless a child of it holds them open. */
  exit(status: number, options: { holdOutput?: boolean } = {}): void {
    if (!options.holdOutput) this.endOutput();
    this.exited.resolve(status);
  }

  endOutput(): void {
    this.#outputs.stdout.end();
    this.#outputs.stderr.end();
  }

  read(which: "stdout" | "stderr", length: number): Promise<Uint8Array> {
    return this.#outputs[which].read(length);
  }
}

class Output {
  #held: Uint8Array = new Uint8Array();
  #ended = false;
  #changed = Promise.withResolvers<void>();

  push(data: Uint8Array): void {
    const all = new Uint8Array(this.#held.length + data.length);
    all.set(this.#held);
    all.set(data, this.#held.length);
    this.#held = all;
    this.#change();
  }

  end(): void {
    this.#ended = true;
    this.#change();
  }

  async read(length: number): Promise<Uint8Array> {
    while (this.#held.length === 0) {
      if (this.#ended) throw new RpcError(Code.Internal, "read meet eof");
      await this.#changed.promise;
    }
    const data = this.#held.slice(0, length);
    this.#held = this.#held.slice(data.length);
    return data;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

type Method = keyof typeof AgentService.methods;

/** The agent. */
export class FakeGuest {
  /** by `<container>/<exec>`; an init is `<container>/<container>` */
  readonly processes = new Map<string, FakeProcess>();
  /** names of the calls that came, except for the streams' and the waits */
  readonly calls: string[] = [];
  /** runs before a call is answered: may wait, or throw */
  readonly before = new Map<Method, () => Promise<void> | void>();
  /** runs before it says that it is there */
  checked: () => Promise<void> | void = () => {};
  /** the policy that it was given */
  policy: string | undefined;
  readonly #server: TtrpcServer;
  readonly #connections: ByteStream[] = [];
  /** containers that were asked for */
  readonly requests: CreateContainerRequest[] = [];
  readonly #oom: string[] = [];
  #oomChanged = Promise.withResolvers<void>();
  readonly #created = new Map<string, PromiseWithResolvers<FakeProcess>>();

  constructor() {
    const health = implement(Health, { check: async () => (await this.checked(), { status: 1 }) });
    this.#server = new TtrpcServer([implement(AgentService, this.#handlers()), health]);
  }

  /** A connection to it, as the host has it. */
  connect(): ByteStream {
    const [host, guest] = streamPair();
    this.#connections.push(host, guest);
    this.#server.serve(guest).catch(() => {});
    return host;
  }

  /** The guest is gone. */
  disconnect(): void {
    for (const connection of this.#connections) connection.close();
  }

  process(containerId: string, execId = containerId): FakeProcess {
    const process = this.processes.get(`${containerId}/${execId}`);
    if (process === undefined) throw new RpcError(Code.NotFound, `no process "${execId}"`);
    return process;
  }

  /** Waits until a process exists. */
  async appeared(containerId: string, execId = containerId): Promise<FakeProcess> {
    const key = `${containerId}/${execId}`;
    return this.processes.get(key) ?? await this.#appearance(key).promise;
  }

  /** The kernel over there runs out of memory. */
  runOutOfMemory(containerId: string): void {
    this.#oom.push(containerId);
    this.#oomChanged.resolve();
  }

  async #nextOom(): Promise<string> {
    while (this.#oom.length === 0) {
      await this.#oomChanged.promise;
      this.#oomChanged = Promise.withResolvers();
    }
    return this.#oom.shift() ?? "";
  }

  #appearance(key: string): PromiseWithResolvers<FakeProcess> {
    const appearance = this.#created.get(key) ?? Promise.withResolvers<FakeProcess>();
    this.#created.set(key, appearance);
    return appearance;
  }

  #add(key: string): void {
    const process = new FakeProcess();
    this.processes.set(key, process);
    this.#appearance(key).resolve(process);
  }

  #handlers(): Handlers<typeof AgentService.methods> {
    return {
      ...this.#counted(),
      waitProcess: async ({ containerId, execId }) => ({
        status: await this.process(containerId, execId).exited.promise,
      }),
      readStdout: async ({ containerId, execId, len }) => ({
        data: await this.process(containerId, execId).read("stdout", len),
      }),
      readStderr: async ({ containerId, execId, len }) => ({
        data: await this.process(containerId, execId).read("stderr", len),
      }),
      writeStdin: ({ containerId, execId, data }) => {
        this.process(containerId, execId).input.push(...data);
        return { len: data.length };
      },
      getOOMEvent: async () => ({ containerId: await this.#nextOom() }),
      closeStdin: ({ containerId, execId }) => {
        this.process(containerId, execId).inputClosed.resolve();
        return {};
      },
    };
  }

  #counted(): Handlers<typeof AgentService.methods> {
    const call = (name: Method) => {
      this.calls.push(name);
      return this.before.get(name)?.();
    };
    return {
      createSandbox: async () => (await call("createSandbox"), {}),
      setPolicy: async ({ policy }) => {
        await call("setPolicy");
        this.policy = policy;
        return {};
      },
      destroySandbox: async () => (await call("destroySandbox"), {}),
      createContainer: async (request) => {
        const { containerId } = request;
        await call("createContainer");
        this.requests.push(request);
        this.#add(`${containerId}/${containerId}`);
        return {};
      },
      startContainer: async () => (await call("startContainer"), {}),
      removeContainer: async () => (await call("removeContainer"), {}),
      execProcess: async ({ containerId, execId }) => {
        await call("execProcess");
        this.#add(`${containerId}/${execId}`);
        return {};
      },
      signalProcess: async ({ containerId, execId, signal }) => {
        await call("signalProcess");
        const process = this.process(containerId, execId === "" ? containerId : execId);
        process.signals.push(signal);
        if (signal === 9) process.exit(137);
        return {};
      },
      ttyWinResize: async ({ containerId, execId, row, column }) => {
        await call("ttyWinResize");
        this.process(containerId, execId).size = `${row}x${column}`;
        return {};
      },
      pauseContainer: async () => (await call("pauseContainer"), {}),
      resumeContainer: async () => (await call("resumeContainer"), {}),
      getGuestDetails: async () => {
        await call("getGuestDetails");
        return { memBlockSizeBytes: 128n << 20n };
      },
      onlineCPUMem: async () => (await call("onlineCPUMem"), {}),
      updateContainer: async () => (await call("updateContainer"), {}),
      statsContainer: async () => {
        await call("statsContainer");
        return { cgroupStats: { cpuStats: { cpuUsage: { totalUsage: 5_000_000n } } } };
      },
    };
  }
}
