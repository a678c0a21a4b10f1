/** The last steps of every process: streams, working folder, privileges, and turning into the program. */

import { AT, O, S } from "../../../sys/fd.ts";
import { type Slot, u32 } from "../../../sys/program.ts";
import { capabilityMasks } from "../../../oci/capabilities.ts";
import { RLIMITS } from "../../../oci/rules.ts";
import type { Process, Rlimit } from "../../../oci/spec.ts";
import { setAttributes, type SharedAttributes } from "./attributes.ts";
import { environmentOf, programCandidates } from "./environment.ts";
import { outsideId } from "./ids.ts";
import type { ProcessFacts, StreamFacts, UserChoice } from "./input.ts";
import { AWAIT_START, CREATED, EXECUTE, FIND_PROGRAM } from "./names.ts";
import { loadFilter, type SeccompFilter } from "./seccomp.ts";
import { PLACE, type Steps, words } from "./steps.ts";

const PR_SET_KEEPCAPS = 8, PR_CAPBSET_DROP = 24, PR_SET_NO_NEW_PRIVS = 38, PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2, PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const HIGHEST_CAPABILITY = 63;
const CAP_SYS_ADMIN = 1n << 21n;
const TIOCSCTTY = 0x540e;
const X_OK = 1, AT_EACCESS = 0x200;
const DEFAULT_UMASK = 0o022;
const ENOENT = 2, ENOTDIR = 20;
const DENIED = ["EACCES", "EPERM"];

/** With the agent's /proc in sight: children inherit the agent's OOM score, which is not meant for them. */
export function setOomScore(steps: Steps, process: Process, facts: ProcessFacts): void {
  const wanted = process.oomScoreAdj ?? 0;
  if (wanted === facts.oomScoreAdj) return;
  steps.writeProcFile("set oom_score_adj", "/proc/self/oom_score_adj", String(wanted));
}

/**
/**
 * Before a user namespace is entered: what cannot be done inside. The streams are given to the user, and limits
 * raised that are to become higher.
 */
export function prepareForUser(steps: Steps, process: Process, facts: ProcessFacts, user: UserChoice): void {
  wireStreams(steps, facts.streams, outsideId(user.uids, process.user.uid));
  for (const { type, hard } of process.rlimits ?? []) {
    const known = facts.hardLimits?.[type];
    if (known === undefined || BigInt(hard) <= known) continue;
    const limits = steps.program.struct([hard, hard]);
    steps.program.step(`raise ${type}`, "prlimit64", [0, RLIMITS[type] ?? -1, limits, 0]);
  }
}

/** How a process becomes its program. */
export interface BecomeOptions {
  /** What to execute, if it is not what the first argument says. */
  readonly file?: string | undefined;
  /** Of system calls. */
  readonly filter?: SeccompFilter | undefined;
  /** What holds for all processes of the container. */
  readonly shared?: SharedAttributes;
  /** It is in a user namespace other than the agent's, and the streams are in their places already. */
  readonly wired?: boolean;
}

/**
 * All that is the same for a container's first process and for later ones.
 *
 * A filter of system calls comes as late as can be: what follows it has to be allowed by it. Without
 * no_new_privs loading it is a privilege, which is then the last one to be given up.
 */
export function becomeProgram(
  steps: Steps,
  process: Process,
  facts: ProcessFacts,
  { filter, file, shared = {}, wired = false }: BecomeOptions = {},
): void {
  const { program } = steps;
  if (!wired) wireStreams(steps, facts.streams, process.user.uid);
  if (facts.streams.terminal) program.step("take terminal", "ioctl", [0, TIOCSCTTY, 0]);
  const arrived = steps.slot("in cwd");
  enterCwdAsRoot(steps, process.cwd, arrived);
  setAttributes(steps, process, shared);
  setLimits(steps, process.rlimits ?? []);
  // In a user namespace there are all, whatever the agent has itself.
  const available = wired ? facts.knownCapabilities : facts.capabilities;
  const lent = filter && !process.noNewPrivileges ? CAP_SYS_ADMIN & available : 0n;
  const giveBack = changeUser(steps, process, available, lent);
  enterCwdAsUser(steps, process.cwd, arrived);
  program.step("set umask", "umask", [process.user.umask ?? DEFAULT_UMASK]);
  if (process.noNewPrivileges) program.step("set no_new_privs", "prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  const env = environmentOf(process, facts.home);
  const path = findProgram(steps, file ?? process.args[0] ?? "", env);
  program.checkpoint(CREATED);
  program.awaitGo(AWAIT_START);
  if (filter) loadFilter(steps, filter);
  giveBack();
  program.step(EXECUTE, "execve", [path, program.cstrings(process.args), program.cstrings(env)]);
}

function wireStreams(steps: Steps, streams: StreamFacts, uid: number): void {
  const { program } = steps;
  program.wireFds();
  if (uid === 0) return;
  // So that the user can open /dev/stdout and the like; some pipes and files do not let themselves be given
  // away.
  for (const fd of streams.ownable) {
    const args = [fd, uid, -1];
    program.step(`give fd ${fd} to ${uid}`, "fchown", args, { mayFail: ["EPERM", "EROFS", "EINVAL"] });
  }
}

/** As root first: a folder of the image may be closed to the user that works in it. */
function enterCwdAsRoot(steps: Steps, cwd: string, arrived: Slot): void {
  const { program } = steps;
  const closed = program.label("cwd is closed to root");
  const opened = program.label("tried cwd as root");
  program.compute("not yet in cwd", arrived, 0);
  const open = steps.openArguments(cwd, PLACE | O.DIRECTORY);
  const denied = { mayFail: DENIED, onFailure: closed };
  program.step(`open cwd ${cwd}`, "openat2", open, { save: steps.target, ...denied });
  program.step(`enter cwd ${cwd}`, "fchdir", [steps.target], { mayFail: DENIED, onFailure: opened });
  program.compute("in cwd", arrived, 1);
  program.place(opened);
  steps.close(steps.target);
  program.place(closed);
}

/** On file systems where root has no privilege, the user may get in. */
function enterCwdAsUser(steps: Steps, cwd: string, arrived: Slot): void {
  const { program } = steps;
  const there = program.label("is in cwd");
  program.expect("look whether in cwd", arrived, { equals: 0, errno: "EEXIST" }, { onFailure: there });
  program.step(`open cwd ${cwd}`, "openat2", steps.openArguments(cwd, PLACE | O.DIRECTORY), {
    save: steps.target,
  });
  program.step(`enter cwd ${cwd}`, "fchdir", [steps.target]);
  steps.close(steps.target);
  program.place(there);
}

/**
 * As late as can be, since they hold for the rest of the steps, but before the privilege to raise them is
 * gone.
 */
function setLimits(steps: Steps, rlimits: readonly Rlimit[]): void {
  for (const { type, soft, hard } of rlimits) {
    const limits = steps.program.struct([soft, hard]);
    steps.program.step(`set ${type}`, "prlimit64", [0, RLIMITS[type] ?? -1, limits, 0]);
  }
}

/**
 * Bounding set, groups, user, then the other sets: after the user's change they can only be kept by asking.
 *
 * @param lent capabilities that the process has for some more steps, whatever its sets are
 * @returns adds the step that takes them away
 */
function changeUser(steps: Steps, process: Process, available: bigint, lent: bigint): () => void {
  const { program } = steps;
  const { uid, gid, additionalGids = [] } = process.user;
  const masks = process.capabilities && capabilityMasks(process.capabilities);
  const keeps = uid !== 0 && (masks !== undefined || lent !== 0n);
  if (masks) dropFromBoundingSet(steps, masks.bounding, available);
  if (keeps) program.step("keep capabilities", "prctl", [PR_SET_KEEPCAPS, 1, 0, 0, 0]);
  const groups = additionalGids.length === 0 ? 0 : program.bytes(words(additionalGids));
  program.step("set groups", "setgroups", [additionalGids.length, groups]);
  program.step(`set gid ${gid}`, "setresgid", [gid, gid, gid]);
  program.step(`set uid ${uid}`, "setresuid", [uid, uid, uid]);
  if (keeps) program.step("do not keep capabilities", "prctl", [PR_SET_KEEPCAPS, 0, 0, 0, 0]);
  if (!masks && uid === 0) return () => {};
  const permitted = (masks?.permitted ?? 0n) & available;
  // Neither can have what is not permitted, or not within bounds.
  const effective = (masks?.effective ?? 0n) & permitted;
  const inheritable = (masks?.inheritable ?? 0n) & available;
  if (masks || lent !== 0n) setCapabilities(steps, effective | lent, permitted | lent, inheritable);
  if (masks) setAmbientCapabilities(steps, masks.ambient & permitted & inheritable);
  if ((effective & lent) === lent) return () => {};
  return () => setCapabilities(steps, effective, permitted, inheritable);
}

function setAmbientCapabilities(steps: Steps, ambient: bigint): void {
  const { program } = steps;
  program.step("clear ambient capabilities", "prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0]);
  for (const number of members(ambient)) {
    const args = [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0];
    program.step(`raise ambient capability ${number}`, "prctl", args, { mayFail: true });
  }
}

function dropFromBoundingSet(steps: Steps, bounding: bigint, available: bigint): void {
  for (const number of members(available & ~bounding)) {
    steps.program.step(`drop capability ${number}`, "prctl", [PR_CAPBSET_DROP, number, 0, 0, 0]);
  }
}

function setCapabilities(steps: Steps, effective: bigint, permitted: bigint, inheritable: bigint): void {
  const { program } = steps;
  const half = (mask: bigint, index: bigint) => u32(Number((mask >> (32n * index)) & 0xffff_ffffn));
  const sets = [effective, permitted, inheritable];
  const data = [0n, 1n].flatMap((index) => sets.map((mask) => half(mask, index)));
  const header = program.struct([u32(CAPABILITY_VERSION_3), u32(0)]);
  program.step("set capabilities", "capset", [header, program.struct(data)]);
}

function members(mask: bigint): number[] {
  const numbers: number[] = [];
  for (let number = 0; number <= HIGHEST_CAPABILITY; number++) {
    if (mask & (1n << BigInt(number))) numbers.push(number);
  }
  return numbers;
}

/**
 * Looks for the program as the user that will run it: a regular file that may be executed, not by way of a
 * magic link (`/proc/self/exe` still is the agent).
 *
 * @returns a cell with the address of its path
 */
function findProgram(steps: Steps, name: string, env: readonly string[]): Slot {
  const { program } = steps;
  const [path, denied] = [steps.slot("path"), steps.slot("denied")];
  const found = program.label("program is found");
  program.compute("nothing is denied yet", denied, 0);
  program.compute("no path yet", path, 0);
  for (const candidate of programCandidates(name, env)) {
    tryCandidate(steps, candidate, { path, denied, found });
  }
  program.expect(FIND_PROGRAM, denied, { equals: 0, errno: "EACCES" });
  program.fail(FIND_PROGRAM, "ENOENT");
  program.place(found);
  steps.close(steps.target);
  return path;
}

function tryCandidate(
  steps: Steps,
  candidate: string,
  cells: { path: Slot; denied: Slot; found: ReturnType<Steps["program"]["label"]> },
): void {
  const { program, target } = steps;
  const [opened, refused] = [
    program.label(`${candidate} exists`),
    program.label(`${candidate} cannot be run`),
  ];
  const next = program.label(`${candidate} is not it`);
  program.compute(`candidate ${candidate}`, cells.path, program.cstring(candidate));
  const open = steps.openArguments(candidate, PLACE);
  program.step(`open ${candidate}`, "openat2", open, { save: target, mayFail: true, onSuccess: opened });
  for (const errno of [ENOENT, ENOTDIR]) {
    const missing = { equals: -errno, errno: "EACCES" };
    program.expect(`look whether ${candidate} is missing`, target, missing, {
      mayFail: true,
      onSuccess: next,
    });
  }
  program.compute(`${candidate} is denied`, cells.denied, 1);
  program.jump(next);
  program.place(opened);
  const { mode } = steps.stat(`look at ${candidate}`, target, "");
  const regular = { and: S.IFMT, equals: S.IFREG, errno: "EACCES" };
  program.expect(`look whether ${candidate} is a file`, mode, regular, { onFailure: refused });
  const access = [target, program.cstring(""), X_OK, AT.EMPTY_PATH | AT_EACCESS];
  program.step(`look whether ${candidate} may be run`, "faccessat2", access, {
    mayFail: true,
    onSuccess: cells.found,
  });
  program.place(refused);
  program.compute(`${candidate} is denied`, cells.denied, 1);
  steps.close(target);
  program.place(next);
}
