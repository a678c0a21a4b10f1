/**
 * The agent: serves the API by which the host runs containers in this guest. As PID 1 it also makes the guest.
 *
 * @module
 */

import { runAgent } from "../agent/agent.ts";
import { boot } from "../agent/init/boot.ts";
import { ModuleLoader } from "../agent/init/modules.ts";
import { endOnUncaughtErrors, powerOff } from "../agent/init/power.ts";
import { createLogger, type Logger } from "../agent/log.ts";
import {
  type AgentOptions,
  applyEnvironment,
  parseArguments,
  parseKernelCommandLine,
} from "../agent/options.ts";
import type { Devices } from "../agent/sandbox.ts";
import { reapOrphans, setChildSubreaper } from "../sys/process.ts";

/** @returns the exit code; as PID 1 it does not return */
export async function main(_argv0: string, args: readonly string[]): Promise<number> {
  const init = Deno.pid === 1;
  endOnUncaughtErrors(init);
  return init ? await runAsInit() : await runAsService(args);
}

/** The whole machine is the agent's: what the kernel was told is all there is to know. */
async function runAsInit(): Promise<never> {
  const early = createLogger("info");
  boot(early);
  const options = parseKernelCommandLine(Deno.readTextFileSync("/proc/cmdline"));
  const log = createLogger(options.logLevel);
  log.debug("the guest is set up", { uptime: uptime() });
  const modules = new ModuleLoader(options.serverAddress.kind, log);
  Deno.mkdirSync(options.runDir, { recursive: true, mode: 0o755 });
  reapForever();
  await runAgent({
    options,
    log,
    init: true,
    devices: modules,
    listening() {
      log.info("the agent is ready", { uptime: uptime() });
      modules.ready().then(() => log.debug("all drivers are loaded", { uptime: uptime() }));
    },
  });
  powerOff();
}

/** A process among others, in a guest with an init of its own or in a test: nothing of the machine is touched. */
async function runAsService(args: readonly string[]): Promise<number> {
  let options: AgentOptions;
  try {
    options = parseKernelCommandLine(Deno.readTextFileSync("/proc/cmdline"));
    options = applyEnvironment((name) => Deno.env.get(name), options);
    options = parseArguments(args, options);
  } catch (error) {
    console.error(`kata-agent: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  const log = createLogger(options.logLevel);
  Deno.mkdirSync(options.runDir, { recursive: true, mode: 0o755 });
  setChildSubreaper();
  reapForever();
  const end = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => end.abort());
  await runAgent({ options, log, init: false, devices: noDevices(log), signal: end.signal });
  return 0;
}

/** Orphans of containers become children of the agent; nobody else waits for them. */
function reapForever(): void {
  Deno.addSignalListener("SIGCHLD", () => void reapOrphans());
}

function noDevices(log: Logger): Devices {
  return {
    ready: () => Promise.resolve(),
    loadByName(name) {
      log.warn("a kernel module is left to the init of this guest", { name });
      return Promise.resolve();
    },
  };
}

/** Seconds since the kernel started. */
function uptime(): number {
  return Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
}
