/**
 * Tracing: what a sandbox's shim does, as spans that are sent to a collector. Nothing of it is loaded, and nothing is
 * measured for it, unless it is switched on.
 *
 * @module
 */

import type { AsyncLocalStorage } from "node:async_hooks";
import { Timer } from "../../sys/timer.ts";
import { VERSION } from "../../version.ts";
import { type Log, reason } from "../log/log.ts";
import { within } from "../timing.ts";
import { encodeBatch } from "./jaeger.ts";
import type { Span } from "./span.ts";

/** Where spans go, and whose they are. */
export interface TracerOptions {
  /** URL of the collector */
  readonly endpoint: string;
  /** empty: the collector asks for none */
  readonly user: string;
  readonly password: string;
  /** id of the sandbox */
  readonly sandbox: string;
  readonly log: Log;
  /** how long spans may wait for others, in milliseconds */
  readonly gatherMs?: number;
  /** how long the end of the trace waits for the collector, in milliseconds */
  readonly lastMs?: number;
}

/** How long spans wait for others, in milliseconds. */
const GATHER_MS = 1_000;

/** Most spans that wait: more are made than the collector takes. */
const MAX_WAITING = 2_048;

/** How long the collector may take to answer, in milliseconds. */
const SEND_MS = 5_000;

/** How long the end of a sandbox waits for the collector, in milliseconds. */
const LAST_MS = 5_000;

/** Longest text of a failure. */
const MAX_ERROR = 1_000;

const SERVICE = "kata";

/** Name of the span that all others are parts of. */
const ROOT = "sandbox";

/** The spans of one sandbox: one trace. */
export class Tracer implements AsyncDisposable {
  readonly #options: TracerOptions;
  readonly #traceId = { high: randomId(), low: randomId() };
  readonly #root = randomId();
  readonly #startUs = nowUs();
  /** the span that the code at hand is a part of */
  readonly #current: AsyncLocalStorage<bigint>;
  #waiting: Span[] = [];
  #dropped = 0;
  #timer: Timer | undefined;
  #sending: Promise<void> = Promise.resolve();
  /** what is known to be wrong with the collector */
  #trouble = "";
  readonly #gaveUp = new AbortController();
  #ended = false;

  private constructor(options: TracerOptions, current: AsyncLocalStorage<bigint>) {
    this.#options = options;
    this.#current = current;
  }

  /** Begins a trace. */
  static async open(options: TracerOptions): Promise<Tracer> {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    return new Tracer(options, new AsyncLocalStorage());
  }

  /** Does something as a span, which is a part of the one that it is done in. */
  readonly around = async <T>(name: string, run: () => Promise<T> | T): Promise<T> => {
    if (this.#ended) return await run();
    const id = randomId();
    const parent = this.#current.getStore() ?? this.#root;
    const startUs = nowUs();
    let error: string | undefined;
    try {
      return await this.#current.run(id, run);
    } catch (thrown) {
      error = reason(thrown).slice(0, MAX_ERROR);
      throw thrown;
    } finally {
      this.#add({ name, id, parent, startUs, durationUs: nowUs() - startUs, error });
    }
  };

  #add(span: Span): void {
    if (this.#ended) return;
    if (this.#waiting.length >= MAX_WAITING) this.#dropped++;
    else this.#waiting.push(span);
    this.#timer ??= new Timer(this.#options.gatherMs ?? GATHER_MS, () => this.#flush());
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const spans = this.#waiting;
    this.#waiting = [];
    if (spans.length > 0) this.#sending = this.#sending.then(() => this.#send(spans));
  }

  /** Never rejects: what is lost is only told, once for each reason. */
  async #send(spans: readonly Span[]): Promise<void> {
    const { endpoint, log } = this.#options;
    try {
      await this.#post(spans);
      this.#trouble = "";
    } catch (error) {
      const trouble = reason(error);
      if (trouble !== this.#trouble) log.write("warning", `cannot send traces to "${endpoint}": ${trouble}`);
      this.#trouble = trouble;
    }
  }

  async #post(spans: readonly Span[]): Promise<void> {
    const { endpoint, user, password, sandbox } = this.#options;
    const tags = { "service.version": VERSION, sandbox };
    const body = encodeBatch({ service: SERVICE, tags, traceId: this.#traceId, spans });
    const late = new AbortController();
    using timer = new Timer(SEND_MS, () => late.abort(new Error(`no answer within ${SEND_MS / 1000} s`)));
    const login = new TextEncoder().encode(`${user}:${password}`).toBase64();
    const answer = await fetch(endpoint, {
      method: "POST",
      body,
      redirect: "error",
      signal: AbortSignal.any([late.signal, this.#gaveUp.signal]),
      headers: {
        "content-type": "application/vnd.apache.thrift.binary",
        ...(user !== "" && { authorization: `Basic ${login}` }),
      },
    });
    await answer.body?.cancel();
    timer.cancel();
    if (!answer.ok) throw new Error(`it answers ${answer.status} ${answer.statusText}`.trim());
  }

  /** Ends the trace, and sends what is left of it; the collector is not waited for long. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    const [startUs, durationUs] = [this.#startUs, nowUs() - this.#startUs];
    this.#ended = true;
    this.#waiting.push({ name: ROOT, id: this.#root, parent: 0n, startUs, durationUs });
    this.#flush();
    const { log, endpoint, lastMs = LAST_MS } = this.#options;
    if (this.#dropped > 0) log.write("warning", `${this.#dropped} spans were not sent to "${endpoint}"`);
    if (await within(this.#sending, lastMs)) return;
    this.#gaveUp.abort(new Error("the sandbox has ended"));
    log.write("warning", `traces are lost: "${endpoint}" is slow`);
  }
}

function nowUs(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/** Ids of nobody else. */
function randomId(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 1n;
}
