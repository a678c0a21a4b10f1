/**
 * `kata-runtime run`: from flags to an exit code.
 *
 * @module
 */

import { loadConfig } from "../../../config/load.ts";
import { fdIo } from "../../../sandbox/io/fd.ts";
import type { Log } from "../../../sandbox/log/log.ts";
import { sweepDeadSandboxes } from "../../../sandbox/state/cleanup.ts";
import { HOST_PATHS } from "../../../sandbox/state/paths.ts";
import type { AppContext } from "../app.ts";
import { bundleFromDisk, bundleFromFlags, type RunBundle } from "./bundle.ts";
import type { RunFlags } from "./command.ts";
import { runInSandbox } from "./container.ts";
import { failure } from "../failure.ts";
import { exitCodeOfFailure } from "./exit_code.ts";
import { isolateMounts } from "./mount_namespace.ts";
import { stderrLog } from "./stderr_log.ts";

/** Runs the command and leaves its exit code with the application. */
export async function run(this: AppContext, flags: RunFlags, ...args: string[]): Promise<void> {
  const log = stderrLog(flags.debug);
  try {
    const config = flags.config ?? this.globals.config;
    this.process.exitCode = await runContainer({ ...flags, ...(config && { config }) }, args, log);
  } catch (error) {
    this.process.stderr.write(`kata-runtime: ${failure(error)}\n`);
    this.process.exitCode = exitCodeOfFailure(error);
  }
}

async function runContainer(flags: RunFlags, args: readonly string[], log: Log): Promise<number> {
  const id = flags.name ?? `run-${crypto.randomUUID().slice(0, 8)}`;
  const bundle = await describe(id, flags, args);
  const { config, warnings } = await loadConfig({
    explicit: flags.config,
    annotations: bundle.spec.annotations ?? {},
    beside: Deno.execPath().replace(/\/[^/]*$/, ""),
  });
  for (const warning of warnings) log.write("warning", `configuration: ${warning}`);
  const sized = {
    ...config,
    hypervisor: {
      ...config.hypervisor,
      default_vcpus: flags.cpus ?? config.hypervisor.default_vcpus,
      default_memory: flags.memory ?? config.hypervisor.default_memory,
    },
  };
  isolateMounts();
  const unread = Promise.withResolvers<void>();
  const code = await runInSandbox({
    id,
    bundle,
    config: sized,
    log,
    io: fdIo({ stdin: 0, stdout: 1, stderr: 2 }, bundle.spec.process?.terminal ?? false, unread.resolve),
    unread: unread.promise,
  });
  if (flags.keep) await keep(id, bundle, log);
  await sweepDeadSandboxes(HOST_PATHS, log);
  return code;
}

/** What to run: the two ways to say it exclude each other. */
async function describe(id: string, flags: RunFlags, args: readonly string[]): Promise<RunBundle> {
  if (flags.rootfs !== undefined && flags.bundle !== undefined) {
    throw new Error("--rootfs and --bundle exclude each other: give one of them");
  }
  if (flags.bundle !== undefined) return await bundleFromDisk(flags.bundle, flags, args);
  if (flags.rootfs !== undefined) return await bundleFromFlags(id, flags.rootfs, flags, args);
  throw new Error("what to run is missing: give --rootfs DIR or --bundle DIR");
}

/** Leaves the specification behind, in a folder that `run --bundle` takes. */
async function keep(id: string, { spec }: RunBundle, log: Log): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: `kata-${id}-` });
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(spec, null, 2) + "\n");
  log.write("warning", `the bundle is kept in ${folder}`);
}
