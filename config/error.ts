/** Mistakes of the configuration: one sentence that says where, what was found, and what would be right. */

/** Where a value came from. */
export interface Origin {
  readonly kind: "default" | "file" | "drop-in" | "annotation";
  /** A file with its line if known (`/etc/x.toml:12`), or "annotation". */
  readonly where: string;
  /** The key with its table, such as `hypervisor.qemu.kernel`, or the annotation's name. */
  readonly key: string;
  readonly file?: string;
  /** Counted from 1. */
  readonly line?: number;
}

/** One thing that is wrong. */
export interface Mistake {
  readonly severity: "error" | "warning";
  /** All of it as one sentence. */
  readonly text: string;
  readonly file?: string;
  readonly line?: number;
  readonly key?: string;
  readonly value?: unknown;
  /** What would be right, such as "must be a string". */
  readonly problem: string;
  /** The likely intended name. */
  readonly near?: string;
}

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  override name = "ConfigError";
  /** All of them; the message has the first few. */
  readonly mistakes: readonly Mistake[];

  constructor(message: string, options?: ErrorOptions & { mistakes?: readonly Mistake[] }) {
    super(message, options);
    this.mistakes = options?.mistakes ?? [{ severity: "error", text: message, problem: message }];
  }
}

/** What is found while a configuration is read; reading goes on, so that all of it is found at once. */
export class Report {
  readonly #mistakes: Mistake[] = [];
  #isIncomplete = false;

  /** All mistakes, in the order in which they were found. */
  get mistakes(): readonly Mistake[] {
    return this.#mistakes;
  }

  get errors(): readonly Mistake[] {
    return this.#mistakes.filter(({ severity }) => severity === "error");
  }

  get warnings(): readonly Mistake[] {
    return this.#mistakes.filter(({ severity }) => severity === "warning");
  }

  /** Whether some file could not be parsed, so that missing keys are no mistake. */
  get lacksText(): boolean {
    return this.#isIncomplete || this.errors.some(({ key }) => key === undefined);
  }

  /** Notes that keys of the files were skipped. */
  markIncomplete(): void {
    this.#isIncomplete = true;
  }

  /** An invalid value. @param problem what would be right, beginning with "must" or "needs" */
  bad(origin: Origin, value: unknown, problem: string, near?: string): void {
    this.#addValue("error", origin, { value, problem, near });
  }

  /** A valid value with an unexpected effect. */
  doubtful(origin: Origin, value: unknown, problem: string): void {
    this.#addValue("warning", origin, { value, problem });
  }

  /** A key that is wrong whatever its value is. @param problem a predicate: "is not set" */
  badKey(origin: Origin, problem: string, near?: string): void {
    this.#addKey("error", origin, problem, near);
  }

  /** A key that has no effect. */
  doubtfulKey(origin: Origin, problem: string, near?: string): void {
    this.#addKey("warning", origin, problem, near);
  }

  /** A file that is wrong as a whole, or at a line. */
  badFile(origin: Omit<Origin, "key">, problem: string): void {
    const { where, file, line } = origin;
    this.#mistakes.push({ severity: "error", text: `${where}: ${problem}`, file, line, problem });
  }

  /** @throws {ConfigError} when there is an error; the message has the first few */
  throwErrors(): void {
    const { errors } = this;
    if (errors.length === 0) return;
    const texts = errors.slice(0, MAX_TOLD).map(({ text }) => text);
    const more = errors.length - texts.length;
    if (more > 0) {
      texts.push(
        `and ${more} more ${more === 1 ? "mistake" : "mistakes"}: "kata-runtime config check" lists all`,
      );
    }
    throw new ConfigError(texts.join("; "), { mistakes: this.#mistakes });
  }

  #addValue(
    severity: Mistake["severity"],
    { where, file, line, key }: Origin,
    { value, problem: said, near }: Pick<Mistake, "value" | "problem" | "near">,
  ): void {
    const problem = visible(said);
    const text = `${where}: ${name(key)} = ${show(value)}: ${problem}${hint(near)}`;
    this.#mistakes.push({ severity, text, file, line, key, value, problem, near });
  }

  #addKey(severity: Mistake["severity"], origin: Origin, problem: string, near?: string): void {
    const { where, file, line, key } = origin;
    const what = origin.kind === "annotation" ? `annotation "${name(key)}"` : `${where}: ${name(key)}`;
    this.#mistakes.push({
      severity,
      text: `${what} ${problem}${hint(near)}`,
      file,
      line,
      key,
      problem,
      near,
    });
  }
}

function hint(near: string | undefined): string {
  return near === undefined ? "" : `: did you mean "${near}"?`;
}

/** A key may have any characters: files and pods are input. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\0-\x1f\x7f-\x9f]/g;

function visible(text: string): string {
  return text.replace(CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A key as it can stand in a line. */
function name(key: string): string {
  const plain = visible(key);
  return plain.length > MAX_SHOWN ? `${plain.slice(0, MAX_SHOWN)}...` : plain;
}

/** Number of mistakes in one message. */
const MAX_TOLD = 3;

/** Longest text of a value in a sentence. */
const MAX_SHOWN = 200;

function show(value: unknown): string {
  // JSON knows neither large nor infinite numbers
  const text = typeof value === "number" || typeof value === "bigint"
    ? String(value)
    : name(JSON.stringify(value, (_, part) => typeof part === "bigint" ? String(part) : part) ?? "?");
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
