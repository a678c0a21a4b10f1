/** What a profile says is to happen, as the value that a filter returns for it (linux/seccomp.h). */

import { SpecError } from "../../../oci/check.ts";

/** The thread that makes a call of an architecture that the profile does not list is killed. */
export const KILL_THREAD = 0;

const ERRNO = 0x0005_0000, TRACE = 0x7ff0_0000;
const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: KILL_THREAD,
  SCMP_ACT_KILL_THREAD: KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: 0x8000_0000,
  SCMP_ACT_TRAP: 0x0003_0000,
  SCMP_ACT_ERRNO: ERRNO,
  SCMP_ACT_TRACE: TRACE,
  SCMP_ACT_LOG: 0x7ffc_0000,
  SCMP_ACT_ALLOW: 0x7fff_0000,
};
const EPERM = 1, ENOSYS = 38;
const MAX_ERRNO = 4095;
/** The value for a tracer has 16 bits. */
const MAX_MESSAGE = 0xffff;

const FLAGS: Readonly<Record<string, number>> = {
  // A process that is about to execute its program has one thread: there is nothing to synchronise.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  // About those who are notified, and nobody is.
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 0,
};

/** Calls that fail as if the kernel did not have them. */
export const NOT_THERE = ERRNO | ENOSYS;

/**
 * The value of an action.
 *
 * @param errno what the call fails with, or the value for a tracer; default: EPERM
 * @param path JSON path of the object that has both
 * @param names of the two fields
 * @throws {SpecError}
 */
export function returnValue(
  action: string,
  errno: number | undefined,
  path: string,
  names: readonly [action: string, errno: string] = ["action", "errnoRet"],
): number {
  if (action === "SCMP_ACT_NOTIFY") {
    throw new SpecError(
      `${path}.${names[0]}`,
      'is not supported: nobody outside of the virtual machine can be notified: it is "SCMP_ACT_NOTIFY"',
    );
  }
  const value = ACTIONS[action];
  if (value === undefined || !Object.hasOwn(ACTIONS, action)) {
    const known = Object.keys(ACTIONS).join(", ");
    throw new SpecError(`${path}.${names[0]}`, `must be one of ${known}: it is "${action}"`);
  }
  const takesErrno = value === ERRNO || value === TRACE;
  if (!takesErrno) {
    if (!errno) return value;
    throw new SpecError(`${path}.${names[1]}`, `means nothing with "${action}": it is ${errno}`);
  }
  const highest = value === ERRNO ? MAX_ERRNO : MAX_MESSAGE;
  if (errno !== undefined && errno > highest) {
    throw new SpecError(`${path}.${names[1]}`, `must be at most ${highest}: it is ${errno}`);
  }
  return (value | (errno ?? EPERM)) >>> 0;
}

/** Whether calls that are newer than a profile with this default are better told from those it denies. */
export function deniesTheUnknown(defaultValue: number): boolean {
  const kind = (defaultValue & 0xffff_0000) >>> 0;
  const isLenient = kind === ACTIONS["SCMP_ACT_ALLOW"] || kind === ACTIONS["SCMP_ACT_LOG"] || kind === TRACE;
  return !isLenient && defaultValue !== NOT_THERE;
}

/**
 * The flags of seccomp(2). Without a list, speculation stays as it is outside of filters: the mitigation that
 * the kernel would switch on costs a lot, and protects only those who run foreign code in their own process.
 *
 * @throws {SpecError} for a flag that is not known
 */
export function filterFlags(flags: readonly string[] | undefined, path: string): number {
  const given = flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
  return given.reduce((sum, flag, index) => {
    const value = Object.hasOwn(FLAGS, flag) ? FLAGS[flag] : undefined;
    if (value !== undefined) return sum | value;
    const known = Object.keys(FLAGS).join(", ");
    throw new SpecError(`${path}[${index}]`, `must be one of ${known}: it is "${flag}"`);
  }, 0);
}
