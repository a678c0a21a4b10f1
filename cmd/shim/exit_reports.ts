/**
 * Tells containerd of every process's end exactly once, in an order that it can rely on: after the process's start,
 * and a container's init after all that was executed in it.
 *
 * @module
 */

import { timestamp } from "../../rpc/any.ts";
import { TaskExitSchema } from "../../rpc/gen/events_pb.ts";
import type { Exit } from "../../sandbox/exit.ts";
import type { Process } from "../../sandbox/process.ts";
import type { EventPublisher } from "./events.ts";

/** What one container has told, and is about to tell. */
export class ExitReports {
  readonly #events: EventPublisher;
  readonly #containerId: string;
  readonly #pid: number;
  /** starts of execs that are under way, and reports of those that were started */
  readonly #execs = new Set<Promise<unknown>>();
  #init: Promise<void> | undefined;

  constructor(events: EventPublisher, containerId: string, pid: number) {
    this.#events = events;
    this.#containerId = containerId;
    this.#pid = pid;
  }

  /** The init's start event is published: its exit will be, too. */
  initStarted(process: Process): void {
    this.#init ??= process.exited.then(async (exit) => {
      while (this.#execs.size > 0) await Promise.allSettled(this.#execs);
      this.#publish(process.id, exit);
    });
  }

  /**
   * Starts an exec: `start` runs it and publishes its start. Its exit is published after that, and not at all if it
   * fails.
   */
  async execStarting(process: Process, start: () => Promise<void>): Promise<void> {
    const started = start();
    const report = started.then(() => process.exited).then((exit) => this.#publish(process.id, exit));
    const settled = report.catch(() => {}).finally(() => this.#execs.delete(settled));
    this.#execs.add(settled);
    await started;
  }

  /** Waits until the init's exit is published; returns at once if it was never started. */
  async initReported(): Promise<void> {
    await this.#init;
  }

  #publish(id: string, exit: Exit): void {
    this.#events.publish("/tasks/exit", TaskExitSchema, {
      containerId: this.#containerId,
      id,
      pid: this.#pid,
      exitStatus: exit.status,
      exitedAt: timestamp(exit.at.getTime()),
    });
  }
}
