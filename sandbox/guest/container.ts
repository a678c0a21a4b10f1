/**
 * A container as the guest knows it.
 *
 * @module
 */

import type { Process as ProcessSpec, Resources } from "../../oci/spec.ts";
import { processToWire, resourcesToWire } from "../../oci/wire.ts";
import type { CgroupStats } from "../../rpc/gen/agent_pb.ts";
import { type AgentClient, CALL_TIMEOUT_MS } from "./agent_client.ts";
import { AgentProcess, type GuestProcess } from "./process.ts";
import { guestResources } from "./spec.ts";

/** How long the guest may take to remove a container, in seconds. */
const REMOVE_TIMEOUT_S = 10;

const LIMIT = { timeoutMs: CALL_TIMEOUT_MS };

/** A process that is to be executed. */
export interface GuestExec {
  readonly process: GuestProcess;
  begin(): Promise<void>;
}

/** What can be asked of a container in the guest; each call throws what the guest says when it cannot be done. */
export interface GuestContainer {
  /** whether the guest really has it */
  readonly exists: boolean;
  readonly init: GuestProcess;
  start(): Promise<void>;
  /** @param token names the process in the guest, and no other one of the container */
  exec(token: string, process: ProcessSpec): GuestExec;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stats(): Promise<CgroupStats | undefined>;
  update(resources: Resources): Promise<void>;
  remove(): Promise<void>;
}

/** A container that the agent has made. */
export class AgentContainer implements GuestContainer {
  readonly exists = true;
  readonly init: GuestProcess;
  readonly #client: AgentClient;
  readonly #id: { readonly containerId: string };

  constructor(client: AgentClient, id: string) {
    this.#client = client;
    this.#id = { containerId: id };
    this.init = new AgentProcess(client, id, id);
  }

  async start(): Promise<void> {
    await this.#client.agent.startContainer(this.#id, LIMIT);
  }

  exec(token: string, process: ProcessSpec): GuestExec {
    const request = { ...this.#id, execId: token, process: processToWire(process) };
    return {
      process: new AgentProcess(this.#client, this.#id.containerId, token),
      begin: async () => {
        await this.#client.agent.execProcess(request, LIMIT);
      },
    };
  }

  async pause(): Promise<void> {
    await this.#client.agent.pauseContainer(this.#id, LIMIT);
  }

  async resume(): Promise<void> {
    await this.#client.agent.resumeContainer(this.#id, LIMIT);
  }

  async stats(): Promise<CgroupStats | undefined> {
    const { cgroupStats } = await this.#client.agent.statsContainer(this.#id, LIMIT);
    return cgroupStats;
  }

  async update(resources: Resources): Promise<void> {
    const request = { ...this.#id, resources: resourcesToWire(guestResources(resources)) };
    await this.#client.agent.updateContainer(request, LIMIT);
  }

  async remove(): Promise<void> {
    const call = this.#client.agent.removeContainer({ ...this.#id, timeout: REMOVE_TIMEOUT_S }, LIMIT);
    await this.#client.urgent(call);
  }
}
