/**
 * Running other programs from the build's tools. (The product itself never uses `Deno.Command`.)
 *
 * @module
 */

/** How to run a program. */
export interface RunOptions {
  cwd?: string;
  /** Added to the environment of this process. */
  env?: Record<string, string>;
  /** Milliseconds after which it is killed; none by default. */
  timeoutMs?: number;
}

/** A program that could not be started, or ended with anything but 0. */
export class RunError extends Error {
  override readonly name = "RunError";

  constructor(message: string, readonly output: string) {
    super(message);
  }
}

/**
 * Runs a program to its end and returns what it wrote to its standard output.
 *
 * @throws {RunError} with the last lines it wrote, when it is missing, fails, or takes too long
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program, ...args] = argv;
  if (program === undefined) throw new RangeError("no program to run");
  const signal = options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs);
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, {
      args,
      cwd: options.cwd,
      env: options.env,
      signal,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new RunError(`"${program}" is not installed`, "");
    throw error;
  }
  const stdout = new TextDecoder().decode(output.stdout);
  if (output.success) return stdout;
  const text = stdout + new TextDecoder().decode(output.stderr);
  if (signal?.aborted) {
    throw new RunError(`"${argv.join(" ")}" took longer than ${options.timeoutMs} ms`, text);
  }
  const tail = text.trimEnd().split("\n").slice(-10).join("\n");
  throw new RunError(`"${argv.join(" ")}" failed with status ${output.code}: ${tail}`, text);
}

/** Where a program lies, looked up in `PATH` as a shell does, or undefined. */
export async function which(program: string): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "/usr/bin:/bin").split(":")) {
    const path = `${folder || "."}/${program}`;
    try {
      const info = await Deno.stat(path);
      if (info.isFile && ((info.mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}
