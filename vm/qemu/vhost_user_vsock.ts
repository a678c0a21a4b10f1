/** The vsock device as a process of its own (`vhost-device-vsock`), for hosts whose kernel has none. */

import { Daemon, describeStatus } from "../../sys/daemon.ts";
import { removeFile } from "./files.ts";
import { delay } from "../../sys/timer.ts";

/** How long the program may take to listen, in milliseconds, and how often that is looked at. */
const READY_MS = 15_000;
const POLL_MS = 2;

/** The guest's context id. It is local to the device, so all guests have the same. */
const GUEST_CID = 3;

/** Flag of a listening socket in /proc/net/unix (`__SO_ACCEPTCON` in linux/net.h). */
const LISTENING = "00010000";

/** A running device. */
export class VhostUserVsock implements AsyncDisposable {
  /** Where QEMU connects to. */
  readonly deviceSocket: string;
  /** Where connections to the guest are made, with the hybrid handshake. */
  readonly hybridSocket: string;
  /** Resolves with a sentence if the program ends before it is disposed of. */
  readonly failed: Promise<string>;
  readonly #daemon: Daemon;
  #disposed = false;

  private constructor(daemon: Daemon, paths: { deviceSocket: string; hybridSocket: string }) {
    this.#daemon = daemon;
    this.deviceSocket = paths.deviceSocket;
    this.hybridSocket = paths.hybridSocket;
    this.failed = this.#watch();
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  /**
   * Starts the program and waits until QEMU can connect.
   *
   * @param dir folder for its sockets
   * @throws {Error} it cannot be started, or ends at once
   */
  static async start(program: string, dir: string, onLog: (line: string) => void): Promise<VhostUserVsock> {
    const paths = { deviceSocket: `${dir}/vhost-vsock.sock`, hybridSocket: `${dir}/kata.hvsock` };
    removeFiles(paths);
    const daemon = await Daemon.start({
      argv: [
        program,
        `--guest-cid=${GUEST_CID}`,
        `--socket=${paths.deviceSocket}`,
        `--uds-path=${paths.hybridSocket}`,
      ],
      onLine: (line) => onLog(`vhost-device-vsock: ${line}`),
    });
    const device = new VhostUserVsock(daemon, paths);
    try {
      await device.#listening();
      return device;
    } catch (error) {
      await device[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#daemon[Symbol.asyncDispose]();
    removeFiles(this);
  }

  async #watch(): Promise<string> {
    const { status, lastLines } = await this.#daemon.exited;
    if (this.#disposed) return "the vsock device was stopped";
    const said = lastLines.at(-1);
    return `the vsock device's program ${describeStatus(status)}${said === undefined ? "" : `: ${said}`}`;
  }

  /** The program tells nobody when it is ready, and serves one connection only, so trying would use that up. */
  async #listening(): Promise<void> {
    let ended: string | undefined;
    this.failed.then((reason) => ended = reason);
    for (let waited = 0; !isListening(this.deviceSocket); waited += POLL_MS) {
      if (ended !== undefined) throw new Error(ended);
      if (waited >= READY_MS) {
        throw new Error(`the vsock device's program did not listen within ${READY_MS} ms`);
      }
      await delay(POLL_MS);
    }
  }
}

function removeFiles(paths: { readonly deviceSocket: string; readonly hybridSocket: string }): void {
  removeFile(paths.deviceSocket);
  removeFile(paths.hybridSocket);
}

/** Lines of /proc/net/unix: number, references, protocol, flags, type, state, inode, path. */
function isListening(path: string): boolean {
  return Deno.readTextFileSync("/proc/net/unix").split("\n").some((line) => {
    const fields = line.split(/\s+/);
    return fields[3] === LISTENING && fields.slice(7).join(" ") === path;
  });
}
