import type { Logger } from "../log.ts";

/**
 * Lets the children of a control group use every controller that it has.
 *
 * One write per controller: one that cannot be enabled does not take the others with it.
 */
export function enableCgroupControllers(path: string, log: Logger): void {
  const controllers = Deno.readTextFileSync(`${path}/cgroup.controllers`).trim().split(" ");
  const file = `${path}/cgroup.subtree_control`;
  try {
    Deno.writeTextFileSync(file, controllers.map((name) => `+${name}`).join(" "));
    return;
  } catch {
    // One of them is not available: find out which.
  }
  for (const name of controllers) {
    try {
      Deno.writeTextFileSync(file, `+${name}`);
    } catch (error) {
      log.warn("cannot enable a control group controller", { name, error: String(error) });
    }
  }
}
