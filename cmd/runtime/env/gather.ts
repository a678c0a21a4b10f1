import type { Loaded } from "../../../config/load.ts";
import { agentParams } from "../../../sandbox/guest/agent_params.ts";
import { checkCapability } from "../check/capability.ts";
import { thisHost } from "../check/host.ts";
import type { EnvFacts } from "./tree.ts";

/** What is known of this machine and the configuration, without asking the monitor. */
export async function gather(loaded: Loaded): Promise<Omit<EnvFacts, "hypervisorVersion">> {
  // nothing is loaded into the kernel just to describe the machine
  const host = { ...thisHost(), modprobe: notTried };
  const { capable } = await checkCapability(host, { strict: false });
  return {
    host,
    loaded,
    executable: Deno.execPath(),
    agentParams: agentParams(loaded.config.agent),
    capable,
    cpus: navigator.hardwareConcurrency,
  };
}

function notTried(modules: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return Promise.resolve(new Map(modules.map((module) => [module, "not tried"])));
}
