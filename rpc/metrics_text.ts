/**
 * Metrics in Prometheus' text format, version 0.0.4.
 *
 * Numbers are written as Go's client library writes them, so that a text can be compared with one of any other
 * implementation.
 */

/** How a family's values behave. */
export type MetricKind = "counter" | "gauge" | "histogram";

/** One value. */
export interface Sample {
  /** Behind the family's name: `_bucket`, `_sum`, `_count` of a histogram. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Values of one name. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly samples: readonly Sample[];
}

/** Upper bounds of the buckets of durations, in milliseconds. */
const DURATION_BOUNDS_MS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] as const;

/** The label of a bucket's bound; it stands behind all others. */
const BOUND = "le";

/** A gauge or counter without labels. */
export function single(name: string, help: string, value: number, kind: MetricKind = "gauge"): Family {
  return { name, help, kind, samples: [{ value }] };
}

/** A gauge with one value for each value of one label, "item" as a rule. */
export function labelled(
  name: string,
  help: string,
  values: Readonly<Record<string, number>> | ReadonlyMap<string, number>,
  label = "item",
): Family {
  const entries = values instanceof Map ? [...values] : Object.entries(values);
  const samples = entries.map(([key, value]) => ({ labels: { [label]: key }, value }));
  return { name, help, kind: "gauge", samples };
}

/** The text of families, by name; one without a value is left out. Ends with a line end unless it is empty. */
export function formatFamilies(families: readonly Family[]): string {
  const sorted = families.filter(({ samples }) => samples.length > 0).sort((a, b) => compare(a.name, b.name));
  return sorted.map(formatFamily).join("");
}

function formatFamily({ name, help, kind, samples }: Family): string {
  const lines = samples.map((sample) => formatSample(name, sample));
  // buckets have an order of their own
  if (kind !== "histogram") lines.sort();
  const title = `# HELP ${name} ${escapeText(help)}\n# TYPE ${name} ${kind}\n`;
  return title + lines.map((line) => `${line}\n`).join("");
}

function formatSample(name: string, { suffix = "", labels = {}, value }: Sample): string {
  const names = Object.keys(labels).filter((label) => label !== BOUND).sort();
  if (BOUND in labels) names.push(BOUND);
  const pairs = names.map((label) => `${label}="${escapeLabel(labels[label] ?? "")}"`);
  const braces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  return `${name}${suffix}${braces} ${formatNumber(value)}`;
}

function escapeText(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeText(text).replaceAll('"', '\\"');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Decimal exponents up to here are written without one; the lower bound is {@linkcode LOWEST_PLAIN}. */
const HIGHEST_PLAIN = 5;
const LOWEST_PLAIN = -4;

/** The shortest decimal that reads back to the same number: `0.5`, `999999`, `1e+06`, `+Inf`. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return "0";
  const [mantissa = "", exponentText = "0"] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent >= LOWEST_PLAIN && exponent <= HIGHEST_PLAIN) return String(value);
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
}

/** What is kept of the durations of one action. */
interface Buckets {
  readonly counts: number[];
  sum: number;
  count: number;
}

/** Does something, and takes note of it. */
export type Around = <T>(action: string, run: () => Promise<T> | T) => Promise<T>;

/** How long actions took, by their name. */
export class Durations {
  /** takes further note of what is measured, such as for a trace */
  around: Around | undefined;
  readonly #actions = new Map<string, Buckets>();

  /** @param ms its whole milliseconds are counted */
  observe(action: string, ms: number): void {
    let buckets = this.#actions.get(action);
    if (buckets === undefined) {
      buckets = { counts: DURATION_BOUNDS_MS.map(() => 0), sum: 0, count: 0 };
      this.#actions.set(action, buckets);
    }
    const whole = Math.floor(ms);
    buckets.sum += whole;
    buckets.count++;
    const index = DURATION_BOUNDS_MS.findIndex((bound) => whole <= bound);
    if (index >= 0) buckets.counts[index] = (buckets.counts[index] ?? 0) + 1;
  }

  /** Measures what a function does, whether it works or fails. */
  async measure<T>(action: string, run: () => Promise<T> | T): Promise<T> {
    const start = performance.now();
    try {
      return await (this.around === undefined ? run() : this.around(action, run));
    } finally {
      this.observe(action, performance.now() - start);
    }
  }

  /** As a histogram with the label `action`. */
  family(name: string, help: string): Family {
    const actions = [...this.#actions].sort(([a], [b]) => compare(a, b));
    const samples = actions.flatMap(([action, buckets]) => histogramSamples(action, buckets));
    return { name, help, kind: "histogram", samples };
  }
}

function histogramSamples(action: string, { counts, sum, count }: Buckets): Sample[] {
  let below = 0;
  const samples: Sample[] = DURATION_BOUNDS_MS.map((bound, index) => {
    below += counts[index] ?? 0;
    return { suffix: "_bucket", labels: { action, [BOUND]: formatNumber(bound) }, value: below };
  });
  samples.push({ suffix: "_bucket", labels: { action, [BOUND]: "+Inf" }, value: count });
  samples.push({ suffix: "_sum", labels: { action }, value: sum });
  samples.push({ suffix: "_count", labels: { action }, value: count });
  return samples;
}
