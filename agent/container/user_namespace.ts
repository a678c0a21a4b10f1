/** User namespaces: created with their mappings, or joined and their mappings read. */

import { O, openFd, OwnedFd } from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
import { CLONE } from "../../sys/host.ts";
import { launch, type Launched } from "../../sys/launch.ts";
import { Program } from "../../sys/program.ts";
import { SpecError } from "../../oci/check.ts";
import type { IdMapping } from "../../oci/spec.ts";
import { readText, writeText } from "./cgroup/files.ts";

const READY = "ready";

/** Mappings of users and groups. */
export interface Mappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

/**
 * Makes a user namespace. It lives as long as the descriptor, or a process in it.
 *
 * @param at JSON path of the object that the mappings are fields of, for messages
 * @throws {SpecError} for mappings that the kernel does not take
 */
export async function makeUserNamespace({ uids, gids }: Mappings, at: string): Promise<OwnedFd> {
  await using helper = await waiting(new Program(), CLONE.NEWUSER, []);
  writeMap(helper, "uid_map", uids, `${at}.uidMappings`);
  writeMap(helper, "gid_map", gids, `${at}.gidMappings`);
  return new OwnedFd(openFd(`/proc/${helper.child.pid}/ns/user`, O.RDONLY));
}

/** The mappings of a user namespace, as the agent sees them. */
export async function mappingsOf(namespace: number): Promise<Mappings> {
  const program = new Program();
  program.step("join user namespace", "setns", [namespace, CLONE.NEWUSER]);
  await using helper = await waiting(program, 0, [namespace]);
  const read = (file: string) => parseMap(readText(`/proc/${helper.child.pid}/${file}`));
  return { uids: read("uid_map"), gids: read("gid_map") };
}

/** A process that waits after the steps of a program, so that its namespaces can be opened. */
async function waiting(program: Program, flags: number, inherit: readonly number[]): Promise<Launched> {
  program.checkpoint(READY);
  program.awaitGo("wait");
  await using taken = new AsyncDisposableStack();
  const launched = taken.use(launch(program, { flags, inherit }));
  await launched.reached(READY);
  taken.move();
  return launched;
}

function writeMap(helper: Launched, file: string, mappings: readonly IdMapping[], at: string): void {
  const text = mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
  try {
    writeText(`/proc/${helper.child.pid}/${file}`, text);
  } catch (error) {
    if (!isErrno(error)) throw error;
    throw new SpecError(at, `cannot be used: the kernel answers ${error.code} to ${JSON.stringify(text)}`);
  }
}

/** The lines of a uid_map or gid_map. */
export function parseMap(text: string): IdMapping[] {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const [containerID = 0, hostID = 0, size = 0] = line.trim().split(/\s+/).map(Number);
    return { containerID, hostID, size };
  });
}
