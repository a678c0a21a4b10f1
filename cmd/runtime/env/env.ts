/**
 * `kata-runtime env`: what the runtime uses, and what it runs on.
 *
 * @module
 */

import { loadConfig } from "../../../config/load.ts";
import { runProgram } from "../../../sys/run.ts";
import type { Globals } from "../globals.ts";

/** Flags of `kata-runtime env`. */
export interface EnvFlags {
  readonly json: boolean;
}

/** Asking a monitor for its version takes milliseconds. */
const VERSION_TIMEOUT_MS = 10_000;

/**
 * Prints the tree.
 *
 * @throws {ConfigError} the configuration cannot be used
 */
export async function env({ json }: EnvFlags, globals: Globals): Promise<void> {
  const explicit = globals.config;
  const loaded = await loadConfig(explicit === undefined ? {} : { explicit });
  // what takes longest is begun first, and the rest is loaded meanwhile
  const version = versionOf(loaded.config.hypervisor.path);
  const { gather } = await import("./gather.ts");
  const { envTree, UNKNOWN } = await import("./tree.ts");
  const { envJson, envToml } = await import("./print.ts");
  const { print } = await import("../output.ts");
  const facts = await gather(loaded);
  const tree = envTree({ ...facts, hypervisorVersion: await version ?? UNKNOWN });
  print(json ? envJson(tree) : envToml(tree));
}

/** What a program prints when it is asked for its version; undefined: nothing of use. */
export async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { status, stdout } = await runProgram({ argv: [path, "--version"], timeoutMs: VERSION_TIMEOUT_MS });
    const text = stdout.trim();
    return status.code === 0 && status.signal === 0 && text !== "" ? text : undefined;
  } catch {
    return undefined;
  }
}
