/**
 * `ctr events`, collected in the background.
 *
 * @module
 */

import { type Containerd, until } from "./containerd.ts";

/** What containerd has told. */
export class EventLog implements AsyncDisposable {
  readonly #containerd: Containerd;
  #process: Deno.ChildProcess | undefined;
  #reading: Promise<void> = Promise.resolve();
  #lines: string[] = [];

  private constructor(containerd: Containerd) {
    this.#containerd = containerd;
  }

  static async start(containerd: Containerd): Promise<EventLog> {
    const log = new EventLog(containerd);
    await log.restart();
    return log;
  }

  /** Subscribes; returns when events arrive. */
  async restart(): Promise<void> {
    const process = this.#containerd.spawn(["events"]);
    this.#process = process;
    this.#reading = this.#read(process);
    process.stderr.cancel();
    // an event of our own shows that the subscription is there
    const id = `mark-${crypto.randomUUID().slice(0, 8)}`;
    await until("events arrive", async () => {
      await this.#containerd.run(["namespace", "create", id]);
      await this.#containerd.run(["namespace", "remove", id]);
      return this.#lines.some((line) => line.includes(id));
    });
  }

  async #read(process: Deno.ChildProcess): Promise<void> {
    let rest = "";
    for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines);
    }
  }

  /** Unsubscribes; what was told is kept. */
  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.status;
    await this.#reading;
    this.#process = undefined;
  }

  /**
   * Events of a container's task so far: topic, id of the process, exit status if there is one. They are forgotten
   * then, so that the id can be used again.
   *
   * @param last topic of the event that there has to be of the container itself: it may be on its way
   */
  async take(container: string, last: string): Promise<string[]> {
    await until(`"${last}" of "${container}" is told`, () =>
      this.#lines.some((line) => {
        const event = parse(line);
        return event?.container === container && `${event.text} `.startsWith(`${last} ${container} `);
      }));
    await this.#settle();
    const own: string[] = [];
    const others: string[] = [];
    for (const line of this.#lines) {
      const event = parse(line);
      if (event?.container === container) own.push(event.text);
      else others.push(line);
    }
    this.#lines = others;
    return own.filter((text) => text.startsWith("/tasks/"));
  }

  /** Waits until nothing more comes. */
  async #settle(): Promise<void> {
    let count = -1;
    await until("events have settled", async () => {
      const settled = count === this.#lines.length;
      count = this.#lines.length;
      await new Promise((resolve) => setTimeout(resolve, 250));
      return settled;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** `<time> <zone> <namespace> <topic> <json>` */
function parse(line: string): { container: string; text: string } | undefined {
  const match = / (\/\S+) (\{.*\})$/.exec(line);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const { container_id, id, exec_id, exit_status } = JSON.parse(match[2]) as Record<string, string>;
  const process = id || exec_id || container_id;
  // a status of 0 is left out
  const status = match[1] === "/tasks/exit" || match[1] === "/tasks/delete" ? ` ${exit_status ?? 0}` : "";
  return { container: container_id ?? "", text: `${match[1]} ${process}${status}` };
}
