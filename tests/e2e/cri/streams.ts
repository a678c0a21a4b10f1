/**
 * The streams behind the addresses that an engine gives for exec, attach and port forwarding, by WebSocket.
 *
 * @module
 */

/** Streams are numbered by the first byte of each message. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

const PROTOCOL = "v4.channel.k8s.io";

const TIMEOUT_MS = 180_000;

/** A process whose streams are here. */
export class RemoteProcess implements Disposable {
  readonly #socket: WebSocket;
  readonly #ended = Promise.withResolvers<void>();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #waiting = new Set<() => void>();
  /** what came so far */
  stdout = "";
  stderr = "";
  #status = "";

  private constructor(url: string) {
    this.#socket = new WebSocket(url.replace(/^http/, "ws"), [PROTOCOL]);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.addEventListener("message", ({ data }) => this.#receive(new Uint8Array(data)));
    this.#socket.addEventListener("close", () => this.#ended.resolve());
    this.#socket.addEventListener("error", (event) => {
      const text = event instanceof ErrorEvent ? event.message : "it failed";
      this.#ended.reject(new Error(`the stream ended: ${text}`));
    });
    this.#ended.promise.catch(() => {});
    this.#timer = setTimeout(() => this.#ended.reject(new Error("the stream did not end")), TIMEOUT_MS);
  }

  /** Opens the streams. */
  static async open(url: string): Promise<RemoteProcess> {
    const process = new RemoteProcess(url);
    const opened = Promise.withResolvers<void>();
    process.#socket.addEventListener("open", () => opened.resolve());
    await Promise.race([opened.promise, process.#ended.promise]);
    return process;
  }

  /** Writes to its standard input. */
  write(text: string): void {
    this.#send(CHANNEL.stdin, text);
  }

  /** Sets the size of its terminal. */
  resize(columns: number, rows: number): void {
    this.#send(CHANNEL.resize, JSON.stringify({ Width: columns, Height: rows }));
  }

  /** Waits until its standard output has a text. */
  async sees(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      const over = this.#ended.promise.then(() => {
        if (!this.stdout.includes(text)) throw new Error(`it ended without "${text}": ${this.stdout}`);
      });
      await Promise.race([promise, over]);
      this.#waiting.delete(resolve);
    }
  }

  /** Waits for its end. @returns the exit code */
  async ended(): Promise<number> {
    await this.#ended.promise;
    const { status, message, details } = JSON.parse(this.#status) as Status;
    if (status === "Success") return 0;
    const cause = details?.causes?.find(({ reason }) => reason === "ExitCode");
    if (cause === undefined) throw new Error(message);
    return Number(cause.message);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  #send(channel: number, text: string): void {
    this.#socket.send(new Uint8Array([channel, ...new TextEncoder().encode(text)]));
  }

  #receive(message: Uint8Array): void {
    const text = new TextDecoder().decode(message.subarray(1));
    if (message[0] === CHANNEL.stdout) this.stdout += text;
    else if (message[0] === CHANNEL.stderr) this.stderr += text;
    else if (message[0] === CHANNEL.error) this.#status += text;
    for (const wake of this.#waiting) wake();
  }
}

/** A connection to a port of a pod: two streams, one for data, one for errors. */
export class ForwardedPort implements Disposable {
  readonly #socket: WebSocket;
  readonly #closed = Promise.withResolvers<void>();
  readonly #timer: ReturnType<typeof setTimeout>;
  data = "";
  error = "";

  private constructor(url: string) {
    this.#socket = new WebSocket(url.replace(/^http/, "ws"), [PROTOCOL]);
    this.#socket.binaryType = "arraybuffer";
    // the first message of each stream repeats the port
    const seen = new Set<number>();
    this.#socket.addEventListener("message", ({ data }) => {
      const [stream = 0, ...bytes] = new Uint8Array(data);
      const text = new TextDecoder().decode(new Uint8Array(bytes));
      if (!seen.has(stream)) seen.add(stream);
      else if (stream === 0) this.data += text;
      else this.error += text;
    });
    this.#socket.addEventListener("close", () => this.#closed.resolve());
    this.#closed.promise.catch(() => {});
    this.#timer = setTimeout(() => this.#closed.reject(new Error("the port stayed open")), TIMEOUT_MS);
  }

  /** Opens the streams of the only port that was asked for. */
  static async open(url: string): Promise<ForwardedPort> {
    const port = new ForwardedPort(url);
    const opened = Promise.withResolvers<boolean>();
    port.#socket.addEventListener("open", () => opened.resolve(true));
    const isOpen = await Promise.race([opened.promise, port.#closed.promise.then(() => false)]);
    if (!isOpen) throw new Error(`the streams of a port at "${url}" cannot be opened`);
    return port;
  }

  write(text: string): void {
    this.#socket.send(new Uint8Array([0, ...new TextEncoder().encode(text)]));
  }

  /** Waits until the engine has closed it. */
  async closed(): Promise<void> {
    await this.#closed.promise;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#socket.close();
  }
}

interface Status {
  readonly status: string;
  readonly message: string;
  readonly details?: { readonly causes?: readonly { readonly reason: string; readonly message: string }[] };
}
