/**
 * A separate user for each machine's VMM, so that an escape from a guest has no privileges on the host.
 *
 * The user is a number without an entry in `/etc/passwd`: nobody can log in as it, and nothing has to be removed.
 *
 * @module
 */

import type { HostUser } from "../../vm/vmm.ts";

/** Above what distributions give to people and services, and what containers' user namespaces usually take. */
const FIRST_ID = 0x7000_0000;

/** How many there are; two machines get the same with a chance that does not matter. */
const IDS = 0x0f00_0000;

const KVM = "/dev/kvm";

/** Others may pass through, but not look. */
const TRAVERSABLE = 0o711;

/** A user for a new machine, in the group that may use KVM. */
export function newMonitorUser(): HostUser {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  const id = FIRST_ID + random % IDS;
  return { uid: id, gid: id, groups: kvmGroup() };
}

/**
 * Gives a machine's run folder to its monitor, with what is in it, and lets it reach it.
 *
 * @param dir folder with sockets that the monitor connects to
 * @param parents folders on the way to it
 */
export async function giveFolder(
  dir: string,
  { uid, gid }: HostUser,
  parents: readonly string[],
): Promise<void> {
  for (const parent of parents) await Deno.chmod(parent, TRAVERSABLE);
  await Deno.chown(dir, uid, gid);
  for await (const { name } of Deno.readDir(dir)) await Deno.chown(`${dir}/${name}`, uid, gid);
}

/** Root's own group needs no mention. */
function kvmGroup(): number[] {
  try {
    const { gid } = Deno.statSync(KVM);
    return gid === null || gid === 0 ? [] : [gid];
  } catch {
    return [];
  }
}
