/**
 * Gathers what plans depend on besides the specification: from the container's root and from the agent
 * itself.
 */

import { AT, closeFd, makeDev, O, openFd, S, statAt, statFd } from "../../sys/fd.ts";
import { isErrno } from "../../sys/errors.ts";
import { SpecError } from "../../oci/check.ts";
import { RLIMITS } from "../../oci/rules.ts";
import { syscall } from "../../sys/syscall.ts";
import type { Process, Rlimit, Spec } from "../../oci/spec.ts";
import { readText } from "./cgroup/files.ts";
import { resolveInside, statInside } from "./lookup.ts";
import type { MountFacts, ProcessFacts, StreamFacts } from "./plan/input.ts";
import { readMount, sourcePath } from "./plan/mounts.ts";
import type { StdioEnds } from "./stdio.ts";

const DEV_NULL = makeDev(1, 3);

/** Calls `look` with a descriptor of a container's root. */
export function withRoot<T>(path: string, look: (root: number) => T): T {
  const root = openFd(path, O.PATH | O.DIRECTORY);
  try {
    return look(root);
  } finally {
    closeFd(root);
  }
}

/**
 * Facts about the mounts of a specification, before any of them is made.
 *
 * @throws {SpecError} for a mount that makes no sense, or a bind whose source does not exist
 */
export function mountFacts(
  root: number,
  spec: Spec,
  bundle: string,
  idmaps: ReadonlyMap<number, { readonly fd: number }>,
): MountFacts[] {
  return (spec.mounts ?? []).map((mount, index) => {
    const { kind, destination, source } = readMount(mount, index);
    const there = statInside(root, destination);
    const idmap = idmaps.get(index);
    return {
      path: there ? destination : resolveInside(root, destination),
      mode: there?.type === S.IFDIR ? there.mode : undefined,
      folder: kind !== "bind" || isFolder(sourcePath({ source }, bundle), `mounts[${index}].source`),
      ...(idmap && { idmap }),
    };
  });
}

function isFolder(source: string, path: string): boolean {
  try {
    return statAt(AT.FDCWD, source).type === S.IFDIR;
  } catch (error) {
    if (isErrno(error)) throw new SpecError(path, `cannot be used: "${source}" gives ${error.code}`);
    throw error;
  }
}

/**
 * Facts about a process.
 *
 * @param home of its user, in the container (`homeInside`)
 */
export function processFacts(process: Process, io: StdioEnds, home: string | undefined): ProcessFacts {
  return {
    ...agentFacts(),
    ...(process.rlimits && { hardLimits: hardLimits(process.rlimits) }),
    home,
    streams: streamFacts(io),
  };
}

function agentFacts(): Pick<ProcessFacts, "capabilities" | "knownCapabilities" | "oomScoreAdj"> {
  const status = readText("/proc/self/status");
  const mask = (name: string) =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`);
  return {
    capabilities: mask("CapPrm") & mask("CapBnd"),
    knownCapabilities: (2n << BigInt(readText("/proc/sys/kernel/cap_last_cap").trim())) - 1n,
    oomScoreAdj: Number(readText("/proc/self/oom_score_adj")),
  };
}

/** The agent's own hard limits, of those that are to be set. */
function hardLimits(wanted: readonly Rlimit[]): Record<string, bigint> {
  const limits = new BigUint64Array(2);
  return Object.fromEntries(
    wanted.map(({ type }) => {
      syscall("prlimit64", [0, RLIMITS[type] ?? -1, null, new Uint8Array(limits.buffer)], type);
      return [type, limits[1] ?? 0n];
    }),
  );
}

function streamFacts(io: StdioEnds): StreamFacts {
  const fds = io.kind === "terminal" ? [io.slave, io.slave, io.slave] : [io.stdin, io.stdout, io.stderr];
  const ownable = fds.flatMap((fd, index) => {
    const { type, rdev } = statFd(fd);
    return type === S.IFCHR && rdev === DEV_NULL ? [] : [index];
  });
  const slave = io.kind === "terminal" ? { slavePath: io.slavePath } : {};
  return { terminal: io.kind === "terminal", ...slave, ownable };
}

/** The child's 0, 1 and 2. */
export function streamFds(io: StdioEnds): Map<number, number> {
  const fds = io.kind === "terminal" ? [io.slave, io.slave, io.slave] : [io.stdin, io.stdout, io.stderr];
  return new Map(fds.map((fd, index) => [index, fd]));
}
