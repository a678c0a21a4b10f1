/**
 * Timing of whole processes, always as ratios: A and B take turns, so that a machine that changes its speed changes
 * both. GNU time reports the peak memory, since a parent's own size would otherwise be charged to its child.
 *
 * @module
 */

/** What one run of a command cost. */
export interface Run {
  readonly wallMs: number;
  readonly peakKiB: number;
}

/** A command to time. */
export interface Subject {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** called after each run, outside the timed span */
  after?(): Promise<void>;
}

/** Runs a command once. @throws {Error} if it fails, with what it printed */
export async function runOnce(subject: Subject): Promise<Run> {
  const report = await Deno.makeTempFile();
  try {
    const [program = "", ...args] = ["/usr/bin/time", "-o", report, "-f", "%M", ...subject.argv];
    const started = performance.now();
    const child = await new Deno.Command(program, {
      args,
      cwd: subject.cwd,
      env: subject.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const wallMs = performance.now() - started;
    if (!child.success) {
      const text = new TextDecoder().decode(child.stderr) + new TextDecoder().decode(child.stdout);
      throw new Error(`${subject.argv.join(" ")} ended with ${child.code}: ${text.trim()}`);
    }
    return { wallMs, peakKiB: Number((await Deno.readTextFile(report)).trim()) };
  } finally {
    await Deno.remove(report);
  }
}

/** Medians of A, of the reference B, and of the ratio A/B taken pair by pair. */
export interface Comparison {
  readonly wallMs: number;
  readonly referenceWallMs: number;
  readonly wallRatio: number;
  readonly peakKiB: number;
  readonly referencePeakKiB: number;
  readonly peakRatio: number;
}

/** Runs A and B in turn, `pairs` times after one warm-up each. */
export async function compare(a: Subject, b: Subject, pairs: number): Promise<Comparison> {
  const runs: { a: Run; b: Run }[] = [];
  for (let i = -1; i < pairs; i++) {
    const pair = { a: await runOnce(a), b: await runOnce(b) };
    await a.after?.();
    await b.after?.();
    if (i >= 0) runs.push(pair);
  }
  return {
    wallMs: median(runs.map((run) => run.a.wallMs)),
    referenceWallMs: median(runs.map((run) => run.b.wallMs)),
    wallRatio: median(runs.map((run) => run.a.wallMs / run.b.wallMs)),
    peakKiB: median(runs.map((run) => run.a.peakKiB)),
    referencePeakKiB: median(runs.map((run) => run.b.peakKiB)),
    peakRatio: median(runs.map((run) => run.a.peakKiB / run.b.peakKiB)),
  };
}

/** The middle value; the mean of the two middle ones of an even number. @throws {RangeError} nothing given */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.ceil((sorted.length - 1) / 2)];
  if (low === undefined || high === undefined) throw new RangeError("the median of no values does not exist");
  return (low + high) / 2;
}
