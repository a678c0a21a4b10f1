/**
 * `kata-runtime run` as a test runs it, with the host compared before and after.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DIST } from "../../tools/paths.ts";
import { makeRootfs } from "../../tools/rootfs.ts";
import { killIfThere } from "./containerd.ts";
import { leaksSince, traces } from "./leaks.ts";

/** How a run ended, and what it wrote. */
export interface Ran {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** How to run it. */
export interface KataOptions {
  readonly input?: Uint8Array;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** the executable; default: the built one */
  readonly program?: string;
  /** after this it is killed, in milliseconds (default 300 000) */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 300_000;

/** Runs the executable to its end. */
export async function kata(args: readonly string[], options: KataOptions = {}): Promise<Ran> {
  const child = spawnKata(args, options, options.input === undefined ? "null" : "piped");
  const timer = setTimeout(() => killIfThere(child.pid), options.timeoutMs ?? TIMEOUT_MS);
  try {
    const [{ code, stdout, stderr }] = await Promise.all([child.output(), feed(child, options.input)]);
    return { code, stdout, stderr: new TextDecoder().decode(stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** Starts the executable with pipes. */
export function spawnKata(
  args: readonly string[],
  options: KataOptions = {},
  stdin: "null" | "piped" = "null",
): Deno.ChildProcess {
  return new Deno.Command(options.program ?? `${DIST}/kata`, {
    args: [...args],
    env: options.env,
    cwd: options.cwd,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** What a run wrote to its standard output, as text. */
export function text(ran: Ran): string {
  return new TextDecoder().decode(ran.stdout);
}

/**
 * The body of a test that gets a root file system and a folder of its own; afterwards nothing of it may be left on
 * the host.
 */
export function onHost(body: (rootfs: string, folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const before = await traces();
    const folder = await Deno.makeTempDir({ prefix: "kata-e2e-" });
    try {
      await body(await makeRootfs(`${folder}/rootfs`), folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    assert.deepEqual(await leaksSince(before), []);
  };
}

async function feed(child: Deno.ChildProcess, input: Uint8Array | undefined): Promise<void> {
  if (input === undefined) return;
  const writer = child.stdin.getWriter();
  try {
    await writer.write(input);
    await writer.close();
  } catch {
    // it does not want all of it
  }
}
