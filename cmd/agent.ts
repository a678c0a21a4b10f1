/**
 * The agent: serves the API by which the host runs containers in this guest. As PID 1 it also makes the guest.
 *
 * @module
 */

import { runAgent } from "../agent/agent.ts";
import { boot } from "../agent/init/boot.ts";
import { ModuleLoader } from "../agent/init/modules.ts";
import { endOnUncaughtErrors, endWith, powerOff } from "../agent/init/power.ts";
import { createLogger, type Logger } from "../agent/log.ts";
import {
  type AgentOptions,
  applyEnvironment,
  parseArguments,
  parseKernelCommandLine,
} from "../agent/options.ts";
import { formatServerAddress } from "../agent/server_address.ts";
import { reapOrphans, setChildSubreaper } from "../sys/process.ts";
import { Timer } from "../sys/timer.ts";

/** What is not needed to answer the host is done when the guest has had time for its first container. */
const REST_DELAY_MS = 2000;

/** @returns the exit code; as PID 1 it does not return */
export async function main(_argv0: string, args: readonly string[]): Promise<number> {
  const init = Deno.pid === 1;
  endOnUncaughtErrors(init);
  try {
    return init ? await runAsInit() : await runAsService(args);
  } catch (error) {
    endWith(error, init);
  }
}

/** As PID 1 the agent's only options are those on the kernel's command line. */
async function runAsInit(): Promise<never> {
  boot(createLogger("info"));
  const options = parseKernelCommandLine(Deno.readTextFileSync("/proc/cmdline"));
  const log = createLogger(options.logLevel);
  const modules = new ModuleLoader(log);
  modules.needChannel(options.serverAddress.kind);
  Deno.mkdirSync(options.runDir, { recursive: true, mode: 0o755 });
  await runAgent({
    options,
    log,
    init: true,
    devices: modules,
    listening() {
      const uptime = Deno.readTextFileSync("/proc/uptime").split(" ")[0];
      log.info("ready", { address: formatServerAddress(options.serverAddress), uptime });
      modules.needPresent();
      new Timer(REST_DELAY_MS, () => {
        reapForever();
        modules.needAll().then(() => log.debug("all drivers are loaded"));
      });
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
  await runAgent({
    options,
    log,
    init: false,
    devices: leftToOthers(log),
    listening: () => log.info("ready", { address: formatServerAddress(options.serverAddress) }),
    told: signalled("SIGTERM", "SIGINT"),
  });
  return 0;
}

/** Orphans of containers become children of the agent; nobody else waits for them. */
function reapForever(): void {
  Deno.addSignalListener("SIGCHLD", () => void reapOrphans());
  reapOrphans();
}

function signalled(...signals: readonly Deno.Signal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) Deno.addSignalListener(signal, () => resolve());
  });
}

/** Drivers are the business of the init of this guest. */
function leftToOthers(log: Logger) {
  return {
    need() {},
    loadByName: (name: string) => log.warn("a kernel module is left to the init of this guest", { name }),
  };
}
