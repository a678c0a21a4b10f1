import { signalNumber } from "../../../sys/signals.ts";

/** Signals that a shell, a service manager or a user sends to a foreground program. */
const FORWARDED: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];

/**
 * The signals that this program gets on behalf of the process in the container.
 *
 * Until there is such a process, those that would end a program abort what is under way; afterwards each is passed on.
 */
export class CallerSignals implements Disposable {
  readonly #abort = new AbortController();
  readonly #listeners: { name: Deno.Signal; listener: () => void }[] = [];
  #receiver: ((signal: number) => void) | undefined;
  #abortedBy: number | undefined;

  constructor() {
    for (const name of FORWARDED) {
      const number = signalNumber(name);
      const listener = () => this.#receive(number);
      Deno.addSignalListener(name, listener);
      this.#listeners.push({ name, listener });
    }
  }

  /** Aborts at the first signal that comes before {@linkcode forwardTo}. */
  get aborted(): AbortSignal {
    return this.#abort.signal;
  }

  /** The signal that aborted, if one did. */
  get abortedBy(): number | undefined {
    return this.#abortedBy;
  }

  /** From now on signals go to `receiver`. */
  forwardTo(receiver: (signal: number) => void): void {
    this.#receiver = receiver;
    // one may have come between the last look at `aborted` and now
    if (this.#abortedBy !== undefined) receiver(this.#abortedBy);
  }

  [Symbol.dispose](): void {
    for (const { name, listener } of this.#listeners) Deno.removeSignalListener(name, listener);
  }

  #receive(number: number): void {
    if (this.#receiver !== undefined) return this.#receiver(number);
    this.#abortedBy ??= number;
    this.#abort.abort(new Error(`interrupted by signal ${number}`));
  }
}
