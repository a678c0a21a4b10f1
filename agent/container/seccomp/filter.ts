/** The filter of a specification; its compiler is only loaded where there is a profile. */

import type { Seccomp } from "../../../oci/spec.ts";
import type { SeccompFilter } from "../plan/seccomp.ts";

/**
 * Compiles a profile, if it asks for anything.
 *
 * @throws {SpecError} for what the profile cannot mean, or what the kernel would not take
 */
export async function seccompFilter(profile: Seccomp | undefined): Promise<SeccompFilter | undefined> {
  if (profile === undefined || (profile.defaultAction === "" && !profile.syscalls?.length)) return undefined;
  const { compileProfile } = await import("./compile.ts");
  return compileProfile(profile);
}
