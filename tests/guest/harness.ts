/**
 * For tests: a guest booted by QEMU, with its agent at the other end of a connection.
 *
 * Guest assets are those of `deno task guest`, or those in the folder that `KATA_TEST_ASSETS` names. One guest at a
 * time: machines of other tests on the same host would make this one's boot a matter of luck.
 */

import assert from "node:assert/strict";
import { specOf } from "../../agent/container/testing/harness.ts";
import type { Spec } from "../../oci/spec.ts";
import { specToWire } from "../../oci/wire.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { Code, ConnectionClosed, RpcError } from "../../rpc/errors.ts";
import { AgentService, type Device } from "../../rpc/gen/agent_pb.ts";
import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { Health } from "../../rpc/gen/health_pb.ts";
import type { Init } from "../../rpc/message.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { type ServiceClient, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { qemu } from "../../vm/qemu/qemu.ts";
import type { Vm, VmConfig, VmExit, Vmm } from "../../vm/vmm.ts";

const ASSETS = Deno.env.get("KATA_TEST_ASSETS") ?? new URL("../../dist", import.meta.url).pathname;

/** Longest time that a guest may take to boot under emulation on a busy machine. */
const BOOT_TIMEOUT_MS = 180_000;

/** Name of the share, and where hosts have it mounted in the guest. */
export const SHARE_TAG = "kataShared";
export const SHARE_POINT = "/run/kata-containers/shared/containers";

/** What may be different about a guest. */
export interface GuestOptions {
  /** Folder that the guest sees by 9p. */
  readonly share?: string;
  readonly agentParams?: readonly string[];
  /** default: QEMU as it is */
  readonly vmm?: Vmm;
  readonly change?: (config: VmConfig) => VmConfig;
}

/** A guest whose agent answers. */
export class Guest implements AsyncDisposable {
  readonly vm: Vm;
  /** Lines of the guest's console. */
  readonly console: readonly string[];
  readonly agent: ServiceClient<typeof AgentService.methods>;
  readonly health: ServiceClient<typeof Health.methods>;
  /** Needs the parameter "agent.debug_console" and a shell in the guest. */
  readonly shells: ServiceClient<typeof GuestConsole.methods>;
  readonly #client: TtrpcClient;
  readonly #dir: string;

  private constructor(parts: { vm: Vm; client: TtrpcClient; dir: string; console: readonly string[] }) {
    this.vm = parts.vm;
    this.console = parts.console;
    this.#client = parts.client;
    this.#dir = parts.dir;
    this.agent = serviceClient(AgentService, parts.client);
    this.health = serviceClient(Health, parts.client);
    this.shells = serviceClient(GuestConsole, parts.client);
  }

  /** Boots a guest, and waits until its agent answers. */
  static async boot(options: GuestOptions = {}): Promise<Guest> {
    await using taken = new AsyncDisposableStack();
    const dir = Deno.makeTempDirSync({ prefix: "kata-guest-" });
    taken.defer(() => Deno.remove(dir, { recursive: true }));
    const console: string[] = [];
    const vm = taken.use(await (options.vmm ?? qemu).start(configOf(dir, console, options)));
    const stream = await reach(vm);
    const client = taken.use(new TtrpcClient(stream));
    const answer = serviceClient(Health, client).check({}, { timeoutMs: BOOT_TIMEOUT_MS });
    try {
      await answer;
    } catch (error) {
      // The connection is lost a moment before the machine is known to be gone.
      const reason = error instanceof ConnectionClosed ? (await vm.exited).message : String(error);
      assert.fail(`the guest does not answer: ${reason}\n${console.slice(-20).join("\n")}`);
    }
    taken.move();
    return new Guest({ vm, client, dir, console });
  }

  /** Makes a sandbox that shares the host's folder by 9p. @param guestHookPath folder of hooks in the guest */
  async createSandbox(guestHookPath = ""): Promise<void> {
    await this.agent.createSandbox({
      guestHookPath,
      sandboxId: "pod",
      hostname: "pod-host",
      storages: [{
        driver: "9p",
        fstype: "9p",
        source: SHARE_TAG,
        options: ["trans=virtio,version=9p2000.L,cache=mmap", "nodev", "msize=262144"],
        mountPoint: SHARE_POINT,
      }],
    });
  }

  /** Creates and starts a container whose root is the folder `rootfs` of the share. */
  async run(
    containerId: string,
    args: readonly string[],
    change: (spec: Spec) => void = () => {},
    devices: readonly Init<Device>[] = [],
  ): Promise<void> {
    const spec = specOf(`${SHARE_POINT}/rootfs`, args);
    spec.linux = { ...spec.linux, namespaces: [{ type: "mount" }] };
    change(spec);
    await this.agent.createContainer({
      containerId,
      execId: containerId,
      OCI: specToWire(spec),
      devices: [...devices],
    });
    await this.agent.startContainer({ containerId });
  }

  /** Reads an output to its end. */
  async readAll(containerId: string): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const answer = await this.agent.readStdout({ containerId, len: 65536 }).catch(() => undefined);
      if (!answer) return text;
      text += decoder.decode(answer.data, { stream: true });
    }
  }

  /** Runs commands in a shell of the guest; returns what they print. @throws {AssertionError} the shell failed */
  async shell(script: string): Promise<string> {
    const { id } = await this.shells.open({});
    await this.shells.write({ id, data: new TextEncoder().encode(script), end: true });
    let text = "";
    for (;;) {
      const { data, ended, status } = await this.shells.read({ id });
      if (ended) {
        await this.shells.close({ id });
        assert.equal(status, 0, text);
        return text;
      }
      text += new TextDecoder().decode(data);
    }
  }

  /** Ends the sandbox; the guest switches itself off. */
  async powerOff(): Promise<VmExit> {
    await this.agent.destroySandbox({});
    return await this.vm.exited;
  }

  /** Calls a method with bytes of the caller's choice; it must be answered in a time that is long under emulation. */
  async call(service: string, method: string, bytes: Uint8Array): Promise<void> {
    const timeoutMs = 60_000;
    await this.#client.call(service, method, bytes, { timeoutMs }).catch((error) => {
      assert.ok(error instanceof RpcError, String(error));
      assert.notEqual(error.code, Code.DeadlineExceeded, `${method} with [${bytes}]`);
    });
  }

  /** Closes the connection to the agent. */
  async disconnect(): Promise<void> {
    this.#client.close();
    await this.#client.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
    await this.vm.stop();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** Tries until somebody listens: only a serial port can be connected to before. */
async function reach(vm: Vm): Promise<ByteStream> {
  let ended: VmExit | undefined;
  vm.exited.then((exit) => ended = exit);
  for (;;) {
    try {
      return await vm.connectAgent();
    } catch {
      if (ended) assert.fail(`the guest ended: ${ended.message}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function configOf(dir: string, console: string[], options: GuestOptions): VmConfig {
  const config: VmConfig = {
    id: "guest-test",
    dir,
    hypervisorPath: "qemu-system-x86_64",
    accelerator: "auto",
    machineType: "q35",
    kernel: `${ASSETS}/vmlinux`,
    initrd: `${ASSETS}/kata-initrd.img`,
    kernelParams: [],
    agentParams: options.agentParams ?? [],
    vcpus: 1,
    maxVcpus: 1,
    memoryMiB: 512,
    share: options.share === undefined
      ? { kind: "none" }
      : { kind: "9p", tag: SHARE_TAG, path: options.share },
    seccompSandbox: "on",
    entropySource: "/dev/urandom",
    debug: false,
    onConsole: (line) => console.push(line),
    onLog: () => {},
  };
  return options.change?.(config) ?? config;
}
