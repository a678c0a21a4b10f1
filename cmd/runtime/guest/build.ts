import { buildGuest } from "../../../guest/build.ts";
import { OWN_FILE } from "../../../sys/self.ts";
import type { GuestBuildFlags } from "./command.ts";

/** Makes the guest assets from the running executable and prints what was written. */
export async function build(flags: GuestBuildFlags): Promise<void> {
  const { kernel, modules, out, with: extras, module: drivers, inMemory: whole } = flags;
  const made = await buildGuest({
    kernel,
    modules,
    out,
    extras,
    drivers,
    whole,
    executable: OWN_FILE,
  });
  console.log(JSON.stringify(made));
}
