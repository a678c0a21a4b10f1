/**
 * One process as the agent knows it.
 *
 * @module
 */

import type { GuestStreams } from "../io/copy.ts";
import { type AgentClient, CALL_TIMEOUT_MS, CHECK_TIMEOUT_MS } from "./agent_client.ts";
import { STREAM_CHUNK_BYTES } from "./agent_params.ts";

/** What can be asked of a process in the guest. */
export interface GuestProcess extends GuestStreams {
  /** Resolves with its exit status when it has ended. */
  wait(): Promise<number>;
  /** `all`: every process of the container; only for its init. */
  signal(signal: number, all: boolean): Promise<void>;
  resize(size: { rows: number; columns: number }): Promise<void>;
}

/** A process by its names over there. */
export class AgentProcess implements GuestProcess {
  readonly #client: AgentClient;
  readonly #ids: { readonly containerId: string; readonly execId: string };

  /** @param execId the container's id for its init */
  constructor(client: AgentClient, containerId: string, execId: string) {
    this.#client = client;
    this.#ids = { containerId, execId };
  }

  async wait(): Promise<number> {
    const { status } = await this.#client.agent.waitProcess(this.#ids);
    // what comes from a guest is not to be trusted to fit
    return status & 0xff;
  }

  async signal(signal: number, all: boolean): Promise<void> {
    const ids = all ? { ...this.#ids, execId: "" } : this.#ids;
    const call = this.#client.agent.signalProcess({ ...ids, signal }, { timeoutMs: CALL_TIMEOUT_MS });
    await this.#client.urgent(call);
  }

  async resize(size: { rows: number; columns: number }): Promise<void> {
    const request = { ...this.#ids, row: size.rows, column: size.columns };
    await this.#client.agent.ttyWinResize(request, { timeoutMs: CALL_TIMEOUT_MS });
  }

  async readOutput(which: "stdout" | "stderr"): Promise<Uint8Array> {
    const request = { ...this.#ids, len: STREAM_CHUNK_BYTES };
    const { data } = which === "stdout"
      ? await this.#client.agent.readStdout(request)
      : await this.#client.agent.readStderr(request);
    return data;
  }

  async writeInput(data: Uint8Array): Promise<void> {
    await this.#client.agent.writeStdin({ ...this.#ids, data });
  }

  async closeInput(): Promise<void> {
    await this.#client.agent.closeStdin(this.#ids, { timeoutMs: CALL_TIMEOUT_MS });
  }

  async roundTrip(): Promise<void> {
    await this.#client.health.check({}, { timeoutMs: CHECK_TIMEOUT_MS });
  }
}
