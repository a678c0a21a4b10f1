/**
 * Forwards events to containerd: one after the other, in the order in which they happened.
 *
 * containerd may be away for a while. Events then wait, up to a number, and the task service never waits for them.
 *
 * @module
 */

import { packAny, timestamp } from "../../rpc/any.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { Envelope } from "../../rpc/gen/envelope_pb.ts";
import { Events } from "../../rpc/gen/events_ttrpc_pb.ts";
import type { Init, Schema } from "../../rpc/message.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { serviceClient } from "../../rpc/ttrpc/typed.ts";
import { type Log, reason } from "../../sandbox/log/log.ts";
import { pause, within } from "../../sandbox/timing.ts";

/** How long containerd may take to take one event, in milliseconds. */
const CALL_TIMEOUT_MS = 5_000;

/** Most events that wait for containerd. */
const MAX_QUEUE = 2048;

/** Tries for an event that containerd answers with an error. */
const MAX_REFUSALS = 5;

/** Pauses while containerd cannot be reached: doubled from the first to the last, in milliseconds. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

/** How to reach containerd. */
export interface PublisherOptions {
  readonly namespace: string;
  /** opens a connection to containerd's ttrpc socket; absent: events are only logged */
  readonly connect: (() => Promise<ByteStream>) | undefined;
  readonly log: Log;
}

/** An event in the queue. */
interface Waiting {
  readonly envelope: Init<Envelope>;
  readonly about: string | undefined;
}

/** The queue of events. */
export class EventPublisher {
  readonly #options: PublisherOptions;
  readonly #queue: Waiting[] = [];
  readonly #closed = new AbortController();
  #client: TtrpcClient | undefined;
  #running: Promise<void> = Promise.resolve();
  #isRunning = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Whether there is anybody to tell. */
  get hasReader(): boolean {
    return this.#options.connect !== undefined;
  }

  /**
   * Puts an event into the queue; it is sent in its turn.
   *
   * @param about while one of the same topic about the same thing waits, another one is not put behind it
   */
  publish<T>(topic: string, schema: Schema<T>, event: Init<T>, about?: string): void {
    const { log, namespace, connect } = this.#options;
    log.write("debug", `event ${topic}`);
    if (connect === undefined) return;
    const isSame = (other: Waiting) => other.about === about && other.envelope.topic === topic;
    if (about !== undefined && this.#queue.some(isSame)) return;
    if (this.#queue.length >= MAX_QUEUE) {
      log.write("error", `event ${topic} is lost: ${MAX_QUEUE} events wait for containerd already`);
      return;
    }
    this.#queue.push({
      envelope: { timestamp: timestamp(), namespace, topic, event: packAny(schema, event) },
      about,
    });
    if (!this.#isRunning) this.#running = this.#run(connect);
  }

  /** Waits until everything is sent, but not longer than this. @returns whether everything is */
  async flush(timeoutMs: number): Promise<boolean> {
    return await within(this.#running, timeoutMs) && this.#queue.length === 0;
  }

  /** Gives up what waits. */
  close(): void {
    this.#closed.abort();
    this.#client?.close();
  }

  async #run(connect: () => Promise<ByteStream>): Promise<void> {
    this.#isRunning = true;
    try {
      let next: Waiting | undefined;
      while ((next = this.#queue[0]) !== undefined) {
        await this.#deliver(next.envelope, connect);
        this.#queue.shift();
      }
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#options.log.write("error", `events: ${reason(error)}`);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Tries until containerd has taken the event, or refused it often enough. */
  async #deliver(envelope: Init<Envelope>, connect: () => Promise<ByteStream>): Promise<void> {
    let refusals = 0;
    let pauseMs = FIRST_PAUSE_MS;
    while (true) {
      try {
        return await this.#forward(envelope, connect);
      } catch (error) {
        this.#closed.signal.throwIfAborted();
        const refused = error instanceof RpcError && error.code !== Code.DeadlineExceeded;
        if (refused && ++refusals >= MAX_REFUSALS) {
          this.#options.log.write("error", `event ${envelope.topic} is lost: ${reason(error)}`);
          return;
        }
        if (!refused) this.#disconnect();
        await pause(pauseMs, this.#closed.signal);
        pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS);
      }
    }
  }

  async #forward(envelope: Init<Envelope>, connect: () => Promise<ByteStream>): Promise<void> {
    this.#client ??= await this.#connected(connect);
    const metadata = { "containerd-namespace-ttrpc": this.#options.namespace };
    await serviceClient(Events, this.#client).forward({ envelope }, { timeoutMs: CALL_TIMEOUT_MS, metadata });
  }

  async #connected(connect: () => Promise<ByteStream>): Promise<TtrpcClient> {
    const client = new TtrpcClient(await connect());
    // containerd went: the next event finds out whether it came back
    client.closed.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  #disconnect(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}
