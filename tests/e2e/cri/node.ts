/**
 * A node as a node agent sees it: a containerd of a test's own with its container runtime interface, images that
 * were made here, and a network for pods.
 *
 * @module
 */

import {
  type ContainerConfig,
  ContainerState,
  type ContainerStatus,
  NamespaceMode,
  type PodSandboxConfig,
  RuntimeService,
} from "../../../rpc/gen/cri_pb.ts";
import type { Init } from "../../../rpc/message.ts";
import { type ServiceClient, serviceClient } from "../../../rpc/ttrpc/typed.ts";
import { type Containerd, type ContainerdOptions, startContainerd, until } from "../containerd.ts";
import { IMAGE, makeImage } from "../image.ts";
import { temporaryRootfs } from "../rootfs.ts";
import { writeConfiguration } from "../configuration.ts";
import { GrpcClient } from "./grpc.ts";

/** Name of the image of pause containers. */
const PAUSE_IMAGE = "localhost/kata-pause:latest";

/** What a node agent asks for unless the pod says otherwise: processes do not see those of other containers. */
const OWN_PIDS = { namespaceOptions: { pid: NamespaceMode.CONTAINER } };

/** Runtime handlers that a node has. */
export type Handler = "kata" | "runc";

/** How to set a node up. */
export interface NodeOptions extends Omit<ContainerdOptions, "cri"> {
  /** network configuration as the network plug-ins take it; default: a link of its own for each pod */
  readonly network?: (folder: string) => unknown;
  /**
   * Who creates pods: `"shim"`, a containerd from 2.0 on lets the shim do so by the Sandbox API; `"podsandbox"`, by a
   * pause container. Default: `KATA_TEST_SANDBOXER`, else what containerd's is.
   */
  readonly sandboxer?: "shim" | "podsandbox";
  /** more lines of containerd's configuration */
  readonly more?: string;
  /** changes to the runtime's configuration; default: small guests */
  readonly hypervisor?: Readonly<Record<string, string | number | boolean>>;
}

/** Starts a node. Disposing of it removes its pods, its processes and its files. */
export async function startNode(options: NodeOptions = {}): Promise<CriNode> {
  await using taken = new AsyncDisposableStack();
  const rootfs = taken.use(await temporaryRootfs());
  const network = options.network ?? pointToPoint;
  await Deno.mkdir(`${rootfs.folder}/cni`);
  await Deno.writeTextFile(`${rootfs.folder}/cni/10-test.conflist`, JSON.stringify(network(rootfs.folder)));
  const hypervisor = { default_memory: 384, default_vcpus: 1, ...options.hypervisor };
  const configuration = options.configuration ?? writeConfiguration(rootfs.folder, { hypervisor });
  const sandboxer = options.sandboxer ?? Deno.env.get("KATA_TEST_SANDBOXER");
  const settings = { files: rootfs.folder, configuration, sandboxer };
  const cri = (folder: string) => criSettings(folder, settings) + (options.more ?? "");
  const containerd = taken.use(await startContainerd({ ...options, configuration, cri }));
  const node = taken.use(new CriNode(containerd, rootfs.folder));
  for (const image of [await makeImage(rootfs.path, rootfs.folder), await makePauseImage(rootfs)]) {
    await containerd.ctr(["-n", "k8s.io", "image", "import", image]);
  }
  await node.ready();
  node.own(taken.move());
  return node;
}

/** The pause image needs a program that does nothing for ever; with runc it really runs. */
async function makePauseImage(rootfs: { path: string; folder: string }): Promise<string> {
  return await makeImage(rootfs.path, rootfs.folder, { name: PAUSE_IMAGE, command: ["sleep", "2147483647"] });
}

interface CriSettings {
  /** folder of what the node has besides containerd's own */
  readonly files: string;
  readonly configuration: string;
  readonly sandboxer: string | undefined;
}

function criSettings(folder: string, { files, configuration, sandboxer }: CriSettings): string {
  const plugin = `plugins."io.containerd.grpc.v1.cri"`;
  // a containerd that creates pods as such takes no options but runc's: the environment names the configuration, too
  const options = `[${plugin}.containerd.runtimes.kata.options]\n  ConfigPath = "${configuration}"`;
  return `
[${plugin}]
  sandbox_image = "${PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  netns_mounts_under_state_dir = true
[${plugin}.containerd]
  snapshotter = "overlayfs"
[${plugin}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${plugin}.containerd.runtimes.kata]
  runtime_type = "io.containerd.kata.v2"
  privileged_without_host_devices = true
  pod_annotations = ["io.katacontainers.*"]
  container_annotations = ["io.katacontainers.*"]
${sandboxer === undefined ? "" : `  sandboxer = "${sandboxer}"`}
${sandboxer === "shim" ? "" : options}
[${plugin}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${files}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[plugins."io.containerd.nri.v1.nri"]
  disable = true
  socket_path = "${folder}/nri.sock"
`;
}

/** Each pod has one link to the host, without a bridge; the subnet is drawn by lot, as other tests have theirs. */
function pointToPoint(folder: string): unknown {
  const octet = () => 1 + crypto.getRandomValues(new Uint8Array(1)).reduce((_, byte) => byte % 250, 0);
  return {
    cniVersion: "0.4.0",
    name: "kata-test",
    plugins: [{
      type: "ptp",
      ipam: {
        type: "host-local",
        dataDir: `${folder}/addresses`,
        ranges: [[{ subnet: `10.${octet()}.${octet()}.0/24` }]],
        routes: [{ dst: "0.0.0.0/0" }],
      },
    }],
  };
}

/** A node with its pods. */
export class CriNode implements AsyncDisposable {
  readonly containerd: Containerd;
  /** for files of tests */
  readonly folder: string;
  readonly runtime: ServiceClient<typeof RuntimeService.methods>;
  readonly #client: GrpcClient;
  #taken: AsyncDisposableStack | undefined;
  #pods = 0;

  constructor(containerd: Containerd, folder: string) {
    this.containerd = containerd;
    this.folder = folder;
    this.#client = new GrpcClient(containerd.address);
    this.runtime = serviceClient(RuntimeService, this.#client);
  }

  /** What goes when the node goes; the node itself is among it. */
  own(taken: AsyncDisposableStack): void {
    this.#taken = taken;
  }

  /** Waits until the engine takes pods. */
  async ready(): Promise<void> {
    let last: unknown;
    await until("the node is ready", async () => {
      try {
        const { status } = await this.runtime.status({}, { timeoutMs: 15_000 });
        last = JSON.stringify(status);
        return status?.conditions.every((condition) => condition.status) ?? false;
      } catch (error) {
        last = error;
        return false;
      }
    }).catch((error) => {
      throw new Error(`${error.message}: ${last}`);
    });
  }

  /** A pod's configuration: a name of its own, what has to be there, and the changes. */
  podConfig(change: Init<PodSandboxConfig> = {}): Init<PodSandboxConfig> {
    const name = `pod${++this.#pods}`;
    return {
      metadata: { name, uid: crypto.randomUUID(), namespace: "default", attempt: 0 },
      hostname: name,
      logDirectory: `${this.folder}/logs/${name}`,
      ...change,
    };
  }

  /** Runs a pod. */
  async runPod(change: Init<PodSandboxConfig> = {}, handler: Handler = "kata"): Promise<Pod> {
    const config = this.podConfig(change);
    const { podSandboxId } = await this.runtime.runPodSandbox({ config, runtimeHandler: handler });
    return new Pod(this, podSandboxId, config);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const taken = this.#taken;
    this.#taken = undefined;
    if (taken !== undefined) return await taken.disposeAsync();
    try {
      const { items } = await this.runtime.listPodSandbox({}, { timeoutMs: 30_000 });
      await Promise.all(items.map(async ({ id }) => {
        await this.runtime.stopPodSandbox({ podSandboxId: id }, { timeoutMs: 60_000 });
        await this.runtime.removePodSandbox({ podSandboxId: id }, { timeoutMs: 60_000 });
      }));
    } catch {
      // the test that failed says what is wrong; leaks are seen by their own check
    } finally {
      this.#client[Symbol.dispose]();
    }
  }
}

/** How to make a container. */
export type ContainerChange = Init<ContainerConfig>;

/** A pod that runs, or ran. */
export class Pod {
  readonly node: CriNode;
  readonly id: string;
  readonly config: Init<PodSandboxConfig>;
  readonly #attempts = new Map<string, number>();

  constructor(node: CriNode, id: string, config: Init<PodSandboxConfig>) {
    this.node = node;
    this.id = id;
    this.config = config;
  }

  /** Creates a container that runs a shell script; the attempt is counted up for a name that was used before. */
  async create(name: string, script: string, change: ContainerChange = {}): Promise<string> {
    const attempt = this.#attempts.get(name) ?? 0;
    this.#attempts.set(name, attempt + 1);
    const { containerId } = await this.node.runtime.createContainer({
      podSandboxId: this.id,
      config: {
        metadata: { name, attempt },
        image: { image: IMAGE },
        command: ["sh", "-c", script],
        logPath: `${name}.${attempt}.log`,
        ...change,
        linux: { ...change.linux, securityContext: { ...OWN_PIDS, ...change.linux?.securityContext } },
      },
      sandboxConfig: this.config,
    });
    return containerId;
  }

  async start(containerId: string): Promise<void> {
    await this.node.runtime.startContainer({ containerId });
  }

  /** Creates a container and starts it. */
  async run(name: string, script: string, change: ContainerChange = {}): Promise<string> {
    const id = await this.create(name, script, change);
    await this.start(id);
    return id;
  }

  /** Runs a container to its end. @returns its output, as the log has it, and how it ended */
  async runToEnd(name: string, script: string, change: ContainerChange = {}): Promise<Ended> {
    const id = await this.run(name, script, change);
    const status = await this.exited(id);
    const output = await this.output(id);
    await this.node.runtime.removeContainer({ containerId: id });
    return { output, code: status.exitCode, reason: status.reason };
  }

  async status(containerId: string): Promise<ContainerStatus> {
    const { status } = await this.node.runtime.containerStatus({ containerId });
    if (status === undefined) throw new Error(`container "${containerId}" has no status`);
    return status;
  }

  /** Waits until a container has ended. */
  async exited(containerId: string, timeoutMs = 120_000): Promise<ContainerStatus> {
    let status = await this.status(containerId);
    await until(`container "${containerId}" has ended`, async () => {
      status = await this.status(containerId);
      return status.state === ContainerState.CONTAINER_EXITED;
    }, timeoutMs);
    return status;
  }

  /** What a container wrote to its log: the text of all lines, without times and names of streams. */
  async output(containerId: string): Promise<string> {
    const { logPath } = await this.status(containerId);
    // what comes after the last end of a line is being written
    const lines = (await Deno.readTextFile(logPath)).split("\n").slice(0, -1);
    return lines.map((line) => /^\S+ std(?:out|err) ([FP]) (.*)$/.exec(line)).map((match, index) => {
      if (match === null) throw new Error(`not a line of a log: ${JSON.stringify(lines[index])}`);
      return match[1] === "F" ? `${match[2]}\n` : match[2];
    }).join("");
  }

  /** Executes a shell script in a container. */
  async exec(containerId: string, script: string, timeoutS = 120): Promise<Executed> {
    const { stdout, stderr, exitCode } = await this.node.runtime.execSync({
      containerId,
      cmd: ["sh", "-c", script],
      timeout: BigInt(timeoutS),
    });
    const decoder = new TextDecoder();
    return { code: exitCode, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  async stop(): Promise<void> {
    await this.node.runtime.stopPodSandbox({ podSandboxId: this.id });
  }

  async remove(): Promise<void> {
    await this.node.runtime.removePodSandbox({ podSandboxId: this.id });
  }
}

/** How a container ended. */
export interface Ended {
  readonly output: string;
  readonly code: number;
  readonly reason: string;
}

/** How an executed command ended. */
export interface Executed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
