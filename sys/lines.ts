/** Text that arrives in pieces of bytes, cut into lines. */

/** Takes bytes of UTF-8 and hands out lines. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #onLine: (line: string) => void;
  readonly #maxLength: number;
  #rest = "";

  /**
   * @param onLine receives each line without its end
   * @param maxLength longest line in characters; longer ones are cut into several
   */
  constructor(onLine: (line: string) => void, maxLength: number) {
    this.#onLine = onLine;
    this.#maxLength = maxLength;
  }

  /** Takes the next bytes. */
  push(bytes: Uint8Array): void {
    this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** Takes the end of the input: what is left is a line, too. */
  end(): void {
    this.#take(this.#decoder.decode());
    if (this.#rest !== "") this.#onLine(this.#rest);
    this.#rest = "";
  }

  #take(text: string): void {
    this.#rest += text;
    let start = 0;
    for (;;) {
      const end = this.#rest.indexOf("\n", start);
      const lineEnd = end < 0 ? this.#rest.length : end;
      for (; lineEnd - start > this.#maxLength; start += this.#maxLength) {
        this.#onLine(this.#rest.slice(start, start + this.#maxLength));
      }
      if (end < 0) break;
      this.#onLine(this.#rest.slice(start, end));
      start = end + 1;
    }
    this.#rest = this.#rest.slice(start);
  }
}

/** The last lines of something, oldest first. */
export class Tail {
  readonly #lines: string[] = [];
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > this.#capacity) this.#lines.shift();
  }

  /** A copy. */
  get lines(): readonly string[] {
    return [...this.#lines];
  }
}
