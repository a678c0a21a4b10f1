/** A running QEMU. */

import type { ByteStream } from "../../rpc/stream.ts";
import { type Daemon, type DaemonExit, describeStatus } from "../../sys/daemon.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { Timer } from "../../sys/timer.ts";
import type {
  Accelerator,
  AgentTransport,
  Disk,
  HostDevicePlugs,
  NicPlugs,
  PluggedDisk,
  Vm,
  VmExit,
} from "../vmm.ts";
import type { AgentChannel } from "./agent_channel.ts";
import type { GuestConsole } from "./console.ts";
import type { Cpus } from "./hotplug/cpus.ts";
import type { Disks } from "./hotplug/disks.ts";
import type { GuestMemory } from "./hotplug/memory.ts";
import type { QmpClient } from "./qmp.ts";
import type { VmEvents } from "./vm_events.ts";

/** What a VM is made of. */
export interface QemuParts {
  readonly accelerator: Accelerator;
  readonly channel: AgentChannel;
  readonly cpus: Cpus;
  readonly memory: GuestMemory;
  readonly hostDevices: HostDevicePlugs | undefined;
  readonly nics: NicPlugs;
  readonly console: GuestConsole;
  /** Resolves when the console's stream has ended. */
  readonly consoleEnded: Promise<void>;
  readonly daemon: Daemon;
  readonly disks: Disks;
  readonly events: VmEvents;
  readonly qmp: QmpClient;
  /** What is done with the machine of a guest that panicked; without it QEMU ends with its guest. */
  keepMemory?(): Promise<void>;
}

/** Console lines that a message carries. */
const MESSAGE_LINES = 8;

/** How long a status query may take when something is wrong already, in milliseconds. */
const STATUS_MS = 2000;

/** A QEMU process with everything that belongs to it. */
export class QemuVm implements Vm {
  readonly accelerator: Accelerator;
  readonly agentTransport: AgentTransport;
  readonly agentUrl: string;
  readonly exited: Promise<VmExit>;
  readonly #parts: QemuParts;
  readonly #taken: AsyncDisposableStack;
  #exit: VmExit | undefined;
  #stopped: Promise<void> | undefined;
  /** Why the VM is being killed although nobody called stop(). */
  #failure: string | undefined;

  /** @param taken disposes of the parts and of their files */
  constructor(parts: QemuParts, taken: AsyncDisposableStack) {
    this.#parts = parts;
    this.#taken = taken;
    this.accelerator = parts.accelerator;
    this.agentTransport = parts.channel.device.kind;
    this.agentUrl = parts.channel.url;
    this.exited = this.#watch();
    parts.channel.failed?.then((reason) => this.#fail(reason));
    parts.events.halted.then(() => this.#failHalted());
    if (parts.keepMemory) parts.events.ended.then(() => this.#endMachine());
  }

  get pid(): number {
    return this.#parts.daemon.pid;
  }

  get pids(): readonly number[] {
    return [this.pid, ...this.#parts.channel.pids];
  }

  get consoleTail(): readonly string[] {
    return this.#parts.console.tail;
  }

  async connectAgent(signal?: AbortSignal): Promise<ByteStream> {
    if (this.#exit) throw new Error(`cannot reach the agent: ${this.#exit.message}`);
    return await this.#parts.channel.connect(signal);
  }

  get nics(): NicPlugs {
    return this.#parts.nics;
  }

  get hostDevices(): HostDevicePlugs | undefined {
    return this.#parts.hostDevices;
  }

  get vcpus(): number {
    return this.#parts.cpus.count;
  }

  get memoryMiB(): number {
    return this.#parts.memory.memoryMiB;
  }

  vcpuThreads(): Promise<readonly number[]> {
    return this.#parts.cpus.threads();
  }

  resizeCpus(wanted: number): Promise<number> {
    return this.#parts.cpus.resize(wanted);
  }

  resizeMemory(wantedMiB: number, blockMiB: number): Promise<number> {
    return this.#parts.memory.resize(wantedMiB, blockMiB);
  }

  addDisk(disk: Disk): Promise<PluggedDisk> {
    return this.#parts.disks.add(disk);
  }

  async pause(): Promise<void> {
    const { events, qmp } = this.#parts;
    events.expectHalt(true); // the event comes before the answer
    try {
      await qmp.execute("stop");
    } catch (error) {
      events.expectHalt(false);
      throw error;
    }
  }

  async resume(): Promise<void> {
    await this.#parts.qmp.execute("cont");
    this.#parts.events.expectHalt(false);
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#parts.daemon.kill();
    await this.exited;
    await this.#taken.disposeAsync();
  }

  async #watch(): Promise<VmExit> {
    const { console, consoleEnded, daemon } = this.#parts;
    const ended = await daemon.exited;
    await consoleEnded; // the process had the only other end, so the last lines are there
    const { cause, message } = this.#explain(ended);
    return this.#exit = { cause, message, status: ended.status, consoleTail: console.tail };
  }

  #explain(ended: DaemonExit): Pick<VmExit, "cause" | "message"> {
    const { console, events } = this.#parts;
    if (this.#stopped) return { cause: "stopped", message: "the VM was stopped" };
    if (console.panic !== undefined) {
      const { reason, before } = console.panic;
      const sentence = `the guest's kernel panicked: ${reason}`;
      return { cause: "panicked", message: withConsole(sentence, "before that", before) };
    }
    if (events.panicked) {
      return {
        cause: "panicked",
        message: withConsole("the guest's kernel panicked", "at its end", console.tail),
      };
    }
    if (this.#failure !== undefined) return { cause: "failed", message: this.#failure };
    if (events.shutdown !== undefined) {
      const what = SHUTDOWN_TEXT[events.shutdown] ?? `the guest ended itself (${events.shutdown})`;
      return { cause: "shutdown", message: withConsole(what, "at its end", console.tail) };
    }
    // the kernel ends so who touches a page of a file for which there is no place
    const noRoom = ended.status.signal === SIGNALS.SIGBUS ? NO_ROOM : undefined;
    const said = noRoom ?? ended.lastLines.at(-1);
    return {
      cause: "failed",
      message: `QEMU ${describeStatus(ended.status)}${said === undefined ? "" : `: ${said}`}`,
    };
  }

  #fail(reason: string): void {
    this.#failure ??= reason;
    this.#parts.daemon.kill();
  }

  /** QEMU was started so that it stays when its guest ends: the guest's memory can be dumped then. */
  async #endMachine(): Promise<void> {
    const { console, daemon, events, keepMemory } = this.#parts;
    if (!events.panicked && console.panic === undefined) {
      await new Promise<void>((resolve) => new Timer(LAST_LINES_MS, resolve));
    }
    if (events.panicked || console.panic !== undefined) await keepMemory?.();
    daemon.kill();
  }

  async #failHalted(): Promise<void> {
    const { events: { panicked, shutdown } } = this.#parts;
    if (panicked || shutdown !== undefined) return; // it halts on its way out
    let status = "unknown";
    try {
      const answer = await this.#parts.qmp.execute("query-status", {}, { timeoutMs: STATUS_MS });
      status = (answer as { status?: string } | null)?.status ?? status;
    } catch {
      // it is about to end, or hangs: killed all the same
    }
    this.#fail(`QEMU halted the guest by itself, with status "${status}"`);
  }
}

/** How long the console's last lines may take, in milliseconds, when a guest has restarted for want of a panic device. */
const LAST_LINES_MS = 300;

const NO_ROOM = "the folder or the huge pages that its guest's memory is in are probably full";

/** Reasons of QEMU's SHUTDOWN event; it is started so that a reset ends it. */
const SHUTDOWN_TEXT: Readonly<Record<string, string>> = {
  "guest-reset": "the guest reset itself",
  "guest-shutdown": "the guest switched itself off",
  "guest-panic": "the guest's kernel panicked",
};

function withConsole(sentence: string, when: string, lines: readonly string[]): string {
  if (lines.length === 0) return `${sentence}; there was nothing on its console ${when}`;
  return `${sentence}; on its console ${when}: ${lines.slice(-MESSAGE_LINES).join(" | ")}`;
}
