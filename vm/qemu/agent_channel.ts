/**
 * How the agent in the guest is reached: by vsock through the kernel (vhost), by vsock through a helper process
 * (vhost-user), or by a virtio-serial port. Agents listen on all of them alike.
 */

import type { ByteStream } from "../../rpc/stream.ts";
import { closeFd } from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
import { connectVsock } from "../../sys/socket.ts";
import { findExecutable } from "../../sys/spawn.ts";
import { connectHybrid } from "../hybrid_vsock.ts";
import type { VmConfig } from "../vmm.ts";
import type { ChannelDevice, FdName } from "./command_line.ts";
import { ServedSocket } from "./control_socket.ts";
import { openVhostVsock, type VhostVsock } from "./vhost_vsock.ts";
import { VhostUserVsock } from "./vhost_user_vsock.ts";

/** The agent's vsock port. */
const AGENT_PORT_NUMBER = 1024;

/** The program of the vhost-user device. */
const VHOST_USER_VSOCK = "vhost-device-vsock";

/** The host's side of the channel. Disposing of it ends its processes and removes its files. */
export interface AgentChannel extends AsyncDisposable {
  readonly device: ChannelDevice;
  /** See `Vm.agentUrl`. */
  readonly url: string;
  /** Descriptors that QEMU inherits. */
  readonly fds: ReadonlyMap<FdName, number>;
  /** Processes that serve the device. */
  readonly pids: readonly number[];
  /** Resolves with a sentence if one of them ends by itself. */
  readonly failed?: Promise<string>;
  /** QEMU has started: closes our copies of what it inherited. */
  handedOver(): void;
  /** Tries once to connect. */
  connect(signal?: AbortSignal): Promise<ByteStream>;
}

/**
 * Opens the channel that the configuration names, or the first that works.
 *
 * @throws {Error} the one that was named does not work on this host
 */
export async function openAgentChannel(config: VmConfig): Promise<AgentChannel> {
  switch (config.agentTransport) {
    case "vsock":
      return new KernelVsock(openVhostVsock());
    case "vhost-user-vsock":
      return await HybridVsock.open(findVhostUserVsock(config), config);
    case "virtio-serial":
      return new SerialPort(config.dir);
    default:
      return await openFirstThatWorks(config);
  }
}

/** Kinds of error that mean "not on this host". */
const NO_VSOCK = ["ENOENT", "ENODEV", "ENXIO", "EACCES", "EPERM"] as const;

async function openFirstThatWorks(config: VmConfig): Promise<AgentChannel> {
  try {
    return new KernelVsock(openVhostVsock());
  } catch (error) {
    if (!isErrno(error, ...NO_VSOCK)) throw error;
  }
  try {
    return await HybridVsock.open(findVhostUserVsock(config), config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    config.onLog(`the agent is reached by virtio-serial, as there is no /dev/vhost-vsock and ${reason}`);
    return new SerialPort(config.dir);
  }
}

function findVhostUserVsock(config: VmConfig): string {
  try {
    return findExecutable(config.vhostUserVsockPath ?? VHOST_USER_VSOCK, Deno.env.get("PATH"));
  } catch {
    throw new Error(`there is no program "${VHOST_USER_VSOCK}" in PATH`);
  }
}

/** vhost-vsock: the host's kernel is the other end. */
class KernelVsock implements AgentChannel {
  readonly device: ChannelDevice;
  readonly url: string;
  readonly fds: ReadonlyMap<FdName, number>;
  readonly pids: readonly number[] = [];
  readonly #cid: number;
  #fd: number;

  constructor({ fd, cid }: VhostVsock) {
    this.#fd = fd;
    this.#cid = cid;
    this.device = { kind: "vsock", cid };
    this.url = `vsock://${cid}:${AGENT_PORT_NUMBER}`;
    this.fds = new Map([["vhost-vsock", fd]]);
  }

  handedOver(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }

  async connect(signal?: AbortSignal): Promise<ByteStream> {
    signal?.throwIfAborted();
    return await connectVsock(this.#cid, AGENT_PORT_NUMBER);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.handedOver();
    return Promise.resolve();
  }
}

/** vhost-user-vsock: a helper process is the other end. */
class HybridVsock implements AgentChannel {
  readonly device: ChannelDevice;
  readonly url: string;
  readonly fds: ReadonlyMap<FdName, number> = new Map();
  readonly pids: readonly number[];
  readonly failed: Promise<string>;
  readonly #helper: VhostUserVsock;

  private constructor(helper: VhostUserVsock) {
    this.#helper = helper;
    this.device = { kind: "vhost-user-vsock", socketPath: helper.deviceSocket };
    this.url = `hvsock://${helper.hybridSocket}:${AGENT_PORT_NUMBER}`;
    this.pids = [helper.pid];
    this.failed = helper.failed;
  }

  static async open(program: string, { dir, onLog }: VmConfig): Promise<HybridVsock> {
    return new HybridVsock(await VhostUserVsock.start(program, dir, onLog));
  }

  handedOver(): void {}

  connect(signal?: AbortSignal): Promise<ByteStream> {
    return connectHybrid(this.#helper.hybridSocket, AGENT_PORT_NUMBER, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#helper[Symbol.asyncDispose]();
  }
}

/** A virtio-serial port: one connection at a time, which QEMU answers whether or not the guest has opened the port. */
class SerialPort implements AgentChannel {
  readonly device: ChannelDevice = { kind: "virtio-serial" };
  readonly url: string;
  readonly fds: ReadonlyMap<FdName, number>;
  readonly pids: readonly number[] = [];
  readonly #socket: ServedSocket;

  constructor(dir: string) {
    this.#socket = ServedSocket.create(`${dir}/kata.sock`);
    this.url = `virtio-serial://${this.#socket.path}`;
    this.fds = new Map([["agent", this.#socket.fd]]);
  }

  handedOver(): void {
    this.#socket.handedOver();
  }

  async connect(signal?: AbortSignal): Promise<ByteStream> {
    signal?.throwIfAborted();
    return await this.#socket.connect();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket[Symbol.dispose]();
    return Promise.resolve();
  }
}
