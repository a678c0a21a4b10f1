/**
 * A shim without containerd: a test starts it as containerd would, speaks to it, and is told its events.
 *
 * @module
 */

import type { Device, Mount, Resources } from "../../oci/spec.ts";
import type { Envelope } from "../../rpc/gen/envelope_pb.ts";
import { Events } from "../../rpc/gen/events_ttrpc_pb.ts";
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskOOMSchema,
  TaskStartSchema,
} from "../../rpc/gen/events_pb.ts";
import { Sandbox } from "../../rpc/gen/sandbox_pb.ts";
import { Task } from "../../rpc/gen/task_pb.ts";
import { fromBinary, type Schema } from "../../rpc/message.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { implement, type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { AT, mknodAt, O, openFd, S } from "../../sys/fd.ts";
import { AsyncFd } from "../../sys/poll.ts";
import { connectUnix, type Listener, listenUnix } from "../../sys/socket.ts";
import { markedPrefix } from "./leaks.ts";
import { programUnderTest } from "./program.ts";

/** A container's spec as a test writes it. */
export interface ContainerOptions {
  readonly args: readonly string[];
  readonly rootfs: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly terminal?: boolean;
  /** `linux.resources` */
  readonly resources?: Resources;
  /** more mounts, and `linux.devices` */
  readonly mounts?: readonly Mount[];
  readonly devices?: readonly Device[];
  /** `linux.cgroupsPath` */
  readonly cgroupsPath?: string;
  /** path of the network namespace that the client has made */
  readonly netns?: string;
}

const SCHEMAS = new Map<string, Schema<unknown>>(
  [
    TaskCreateSchema,
    TaskStartSchema,
    TaskExitSchema,
    TaskOOMSchema,
    TaskDeleteSchema,
    TaskExecAddedSchema,
    TaskExecStartedSchema,
  ]
    .map((schema) => [schema.typeName, schema as Schema<unknown>]),
);

/** How to start a shim. */
export interface ShimOptions {
  /** `configuration.toml`; default: the one beside the program */
  readonly configuration?: string;
  /** whose command line and environment the shim gets; default: containerd's */
  readonly engine?: "containerd" | "cri-o";
  /** program and arguments that run the shim's command line */
  readonly wrapper?: readonly string[];
}

/** Starts a shim for an id. */
export async function startShim(id: string, options: ShimOptions = {}): Promise<DirectShim> {
  const shim = new DirectShim(id, await Deno.makeTempDir({ prefix: markedPrefix("shim") }), options);
  try {
    await shim.start();
    return shim;
  } catch (error) {
    await shim[Symbol.asyncDispose]();
    throw error;
  }
}

/** A running shim. */
export class DirectShim implements AsyncDisposable {
  readonly id: string;
  readonly folder: string;
  /** topic, id, and status where there is one, in the order of their arrival */
  readonly events: string[] = [];
  readonly #program: string;
  readonly #wrapper: readonly string[];
  readonly #engine: "containerd" | "cri-o";
  readonly #env: Record<string, string>;
  readonly #listener: Listener;
  readonly #events: TtrpcServer;
  #client: TtrpcClient | undefined;
  #address = "";
  #log = "";
  #logReader: AsyncFd | undefined;

  constructor(id: string, folder: string, options: ShimOptions) {
    this.id = id;
    this.folder = folder;
    this.#program = `${folder}/containerd-shim-kata-v2`;
    Deno.symlinkSync(programUnderTest(), this.#program);
    this.#wrapper = options.wrapper ?? [];
    this.#engine = options.engine ?? "containerd";
    this.#env = { TTRPC_ADDRESS: this.#engine === "cri-o" ? "" : `${folder}/t.sock` };
    if (options.configuration) this.#env.KATA_CONF_FILE = options.configuration;
    this.#listener = listenUnix(`${folder}/t.sock`);
    const forward = ({ envelope }: { envelope?: Envelope }) => {
      if (envelope) this.events.push(describe(envelope));
      return {};
    };
    this.#events = new TtrpcServer([implement(Events, { forward })]);
    this.#accept();
  }

  get task(): ServiceClient<typeof Task.methods> {
    if (this.#client === undefined) throw new Error("not connected");
    return serviceClient(Task, this.#client);
  }

  get sandbox(): ServiceClient<typeof Sandbox.methods> {
    if (this.#client === undefined) throw new Error("not connected");
    return serviceClient(Sandbox, this.#client);
  }

  /** The same under its newer name. */
  get taskV3(): ServiceClient<typeof Task.methods> {
    if (this.#client === undefined) throw new Error("not connected");
    return serviceClient(Task, this.#client, { name: "containerd.task.v3.Task" });
  }

  /** What it has logged. */
  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return Number(Deno.readTextFileSync(`${this.bundle(this.id)}/shim.pid`));
  }

  async #accept(): Promise<void> {
    try {
      while (true) this.#events.serve(await this.#listener.accept()).catch(() => {});
    } catch {
      // closed
    }
  }

  bundle(id: string): string {
    return `${this.folder}/${id}`;
  }

  /** Makes a bundle. */
  writeBundle(id: string, options: ContainerOptions): string {
    const bundle = this.bundle(id);
    Deno.mkdirSync(`${bundle}/rootfs`, { recursive: true });
    const spec = {
      ociVersion: "1.0.2",
      process: {
        terminal: options.terminal ?? false,
        user: { uid: 0, gid: 0 },
        args: options.args,
        env: ["PATH=/bin", "TERM=xterm"],
        cwd: "/",
        capabilities: {},
      },
      root: { path: options.rootfs },
      hostname: id,
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "newinstance", "ptmxmode=0666"],
        },
        { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "size=1m"] },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
        ...options.mounts ?? [],
      ],
      linux: {
        namespaces: [
          ...["pid", "ipc", "uts", "mount"].map((type) => ({ type })),
          ...(options.netns === undefined ? [] : [{ type: "network", path: options.netns }]),
        ],
        resources: options.resources,
        cgroupsPath: options.cgroupsPath,
        devices: options.devices,
      },
      annotations: options.annotations ?? {},
    };
    Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(spec));
    return bundle;
  }

  /** Runs `start` and connects. */
  async start(): Promise<void> {
    const bundle = this.bundle(this.id);
    // one container after the other is made there
    if (this.#engine === "cri-o") return;
    await Deno.mkdir(bundle, { recursive: true });
    mknodAt(AT.FDCWD, `${bundle}/log`, S.IFIFO | 0o700);
    this.#logReader = new AsyncFd(openFd(`${bundle}/log`, O.RDWR));
    this.#readLog(this.#logReader);
    this.#address = (await this.run("start")).replace("unix://", "");
    await this.reconnect();
  }

  /** Connects again after {@linkcode disconnect}, as a containerd that was started again does. */
  async reconnect(): Promise<void> {
    this.#client = new TtrpcClient(await connectUnix(this.#address));
  }

  async #readLog(reader: AsyncFd): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      while (true) {
        this.#log += new TextDecoder().decode(buffer.subarray(0, await reader.read(buffer)));
      }
    } catch {
      // closed
    }
  }

  /** Runs the shim's command line in a bundle; returns its standard output. @throws {Error} with what it said */
  async run(action: "start" | "delete", id: string = this.id): Promise<string> {
    const output = await this.output(action, id);
    if (!output.success) {
      throw new Error(`${action} failed with ${output.code}: ${new TextDecoder().decode(output.stderr)}`);
    }
    return new TextDecoder().decode(output.stdout);
  }

  output(action: "start" | "delete", id: string = this.id): Promise<Deno.CommandOutput> {
    return this.outputWithId(action, id, this.bundle(id));
  }

  /** The same with an id that may be none. */
  outputWithId(
    action: "start" | "delete",
    id: string,
    bundle = this.bundle(this.id),
  ): Promise<Deno.CommandOutput> {
    const [program = "", ...args] = [
      ...this.#wrapper,
      this.#program,
      ...(this.#engine === "cri-o"
        ? ["-namespace", "default", "-address", "", "-publish-binary", "/usr/bin/crio", "-id", id, "-debug"]
        : [
          ...["-namespace", "test", "-address", `${this.folder}/c.sock`, "-publish-binary", "/bin/true"],
          ...["-debug", "-id", id, "-bundle", bundle],
        ]),
      action,
    ];
    return new Deno.Command(program, { args, cwd: bundle, env: this.#env, stdin: "null" }).output();
  }

  /** Makes a FIFO for a stream and reads it to its end. @param onText is told all that has come so far */
  outputFifo(name: string, onText?: (text: string) => void): { path: string; text: Promise<string> } {
    const path = `${this.folder}/fifo-${name}`;
    mknodAt(AT.FDCWD, path, S.IFIFO | 0o600);
    const reader = new AsyncFd(openFd(path, O.RDONLY | O.NONBLOCK), path);
    return { path, text: readToEnd(reader, onText) };
  }

  /** Makes a FIFO for a process's input. */
  inputFifo(name: string): { path: string; open: () => AsyncFd } {
    const path = `${this.folder}/fifo-${name}`;
    mknodAt(AT.FDCWD, path, S.IFIFO | 0o600);
    return { path, open: () => new AsyncFd(openFd(path, O.WRONLY | O.NONBLOCK), path) };
  }

  /** Drops the connection, as a containerd that dies does. */
  disconnect(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnect();
    // this engine leaves everything to the server
    if (this.#engine === "containerd") await this.output("delete").catch(() => {});
    this.#logReader?.close();
    this.#listener.close();
    await this.#events.shutdown(0);
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Reads a FIFO whose writers may not be there yet, until they are gone. */
async function readToEnd(reader: AsyncFd, onText?: (text: string) => void): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (true) {
    await reader.readable();
    const count = await reader.read(buffer);
    if (count === 0) break;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    onText?.(text);
  }
  reader.close();
  return text;
}

function describe({ topic, event }: Envelope): string {
  const schema = SCHEMAS.get(event?.typeUrl ?? "");
  if (schema === undefined || event === undefined) return topic;
  const { id, execId, containerId, exitStatus } = fromBinary(schema, event.value) as Record<string, unknown>;
  return [topic, id || execId || containerId, exitStatus].filter((part) => part !== undefined).join(" ");
}

/** Limits, as containerd sends them. */
export function limits(resources: Resources) {
  return {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
    value: new TextEncoder().encode(JSON.stringify(resources)),
  };
}

/** An exec's process, as containerd sends it. */
export function execProcess(args: readonly string[], terminal = false) {
  const process = { terminal, user: { uid: 0, gid: 0 }, args, env: ["PATH=/bin", "TERM=xterm"], cwd: "/" };
  return {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: new TextEncoder().encode(JSON.stringify(process)),
  };
}

/** Annotations of a pod's sandbox, and of its members. */
export const POD = { "io.kubernetes.cri.container-type": "sandbox" };

export function memberOf(sandboxId: string): Record<string, string> {
  return { "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": sandboxId };
}
