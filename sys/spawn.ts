/**
 * Starts programs on the host: into a network namespace, cgroups, a user, limits, and bound to the parent's life.
 */

import { ERRNO } from "./errors.ts";
import { AT, O } from "./abi/file.ts";
import { launch } from "./launch.ts";
import type { ChildProcess } from "./process.ts";
import { Program, type Slot, StepError } from "./program.ts";
import { RLIMIT, type RlimitName } from "./rlimit.ts";
import { cstr, trySyscall } from "./syscall.ts";
import { isFile } from "./exists.ts";

/** What to start, and where. */
export interface SpawnOptions {
  /** The program (looked up in the PATH of `env` unless it has a "/") and its arguments. */
  readonly argv: readonly string[];
  /** The name that the program gets as its argv[0], if it is not `argv[0]`. */
  readonly argv0?: string;
  /** All of its environment; default: this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Entered as the user that the program runs as. */
  readonly cwd?: string;
  /** child fd → fd of this process; 0, 1 and 2 are /dev/null where missing; nothing else is inherited. */
  readonly fds?: ReadonlyMap<number, number>;
  /** Path of a network namespace. */
  readonly netns?: string;
  /** "slave-shared": mounts of the host appear in the new namespace, but not the other way round. */
  readonly newMountNamespace?: "slave-shared";
  /** `cgroup.procs` files to enter the cgroups of. */
  readonly cgroupProcs?: readonly string[];
  /**
   * Signal for the program when this process ends, however it ends. (The kernel counts the thread that launched it,
   * so do not call this from a worker.)
   */
  readonly parentDeathSignal?: number;
  /** A process group of its own. */
  readonly processGroup?: boolean;
  /** A session of its own, and so a process group too. */
  readonly session?: boolean;
  /** With `session`: its standard input, a terminal, controls the session. */
  readonly controllingTerminal?: boolean;
  /** -1000 to 1000. Where it may not be set the program runs without, and `onWarning` is called. */
  readonly oomScoreAdj?: number;
  readonly rlimits?: Readonly<Partial<Record<RlimitName, Rlimit>>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Supplementary groups; default: none if `uid` or `gid` is given, else those of this process. */
  readonly groups?: readonly number[];
  /** SELinux label of the program; the host's policy must have it. Default: what the policy says. */
  readonly selinuxLabel?: string;
  readonly onWarning?: (text: string) => void;
}

/** A limit in the unit of its resource; `RLIM_INFINITY` for none. */
export interface Rlimit {
  readonly soft: number | bigint;
  readonly hard: number | bigint;
}

const CLONE_NEWNS = 0x20000;
const CLONE_NEWNET = 0x4000_0000;
const MS_REC = 1 << 14;
const MS_SLAVE = 1 << 19;
const MS_SHARED = 1 << 20;
const PR_SET_PDEATHSIG = 1;
const X_OK = 1;
const TIOCSCTTY = 0x540e;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const OOM_SCORE_UNSET = "oom score not set";

/**
 * Starts a program and waits until it is executing.
 *
 * @returns the child; the caller owns it
 * @throws {StepError} it could not be found, or what was asked for could not be done: `execve /usr/bin/x: ENOENT`
 */
export async function spawn(options: SpawnOptions): Promise<ChildProcess> {
  const env = options.env ?? Deno.env.toObject();
  const program = spawnProgram(options, findExecutable(options.argv[0] ?? "", env.PATH), env, Deno.pid);
  const flags = options.newMountNamespace ? CLONE_NEWNS : 0;
  const launched = launch(program, { flags, fds: options.fds, inherit: [] });
  await launched.executed();
  if (launched.checkpoints.includes(OOM_SCORE_UNSET)) {
    options.onWarning?.(
      `cannot set the OOM score of "${options.argv[0]}" to ${options.oomScoreAdj}`,
    );
  }
  return launched.child;
}

/**
 * Finds the file to execute.
 *
 * @param name used as it is if it has a "/"
 * @param path folders separated by ":"; empty ones are skipped
 * @throws {StepError} ENOENT if there is no such file, EACCES if there are only ones that cannot be executed
 */
export function findExecutable(name: string, path: string = DEFAULT_PATH): string {
  if (name.includes("/")) return name;
  let errno: number = ERRNO.ENOENT;
  for (const folder of name === "" ? [] : path.split(":")) {
    if (folder === "") continue;
    const file = `${folder}/${name}`;
    if (!isFile(file)) continue;
    if (trySyscall("faccessat", [AT.FDCWD, cstr(file), X_OK]) >= 0) return file;
    errno = ERRNO.EACCES;
  }
  throw new StepError(`find "${name}" in PATH "${path}"`, errno);
}

/**
 * What a child does on its way to the program. A pure function: `describe()` of the result shows it.
 *
 * @param file what to execute
 * @param env all of the environment
 * @param parentPid the process that must still be the parent when the death signal is armed
 */
export function spawnProgram(
  options: SpawnOptions,
  file: string,
  env: Readonly<Record<string, string>>,
  parentPid: number,
): Program {
  const program = new Program();
  if (options.session) program.step("setsid", "setsid", []);
  else if (options.processGroup) program.step("setpgid", "setpgid", [0, 0]);
  setOomScore(program, options.oomScoreAdj);
  options.cgroupProcs?.forEach((path, index) => joinCgroup(program, path, program.slot(`cgroup ${index}`)));
  joinNamespaces(program, options);
  for (const [name, limit] of Object.entries(options.rlimits ?? {})) {
    const value = program.struct([limit.soft, limit.hard]);
    program.step(`set limit ${name}`, "prlimit64", [0, RLIMIT[name as RlimitName], value, 0]);
  }
  if (options.selinuxLabel !== undefined) labelNext(program, options.selinuxLabel);
  becomeUser(program, options);
  if (options.cwd !== undefined) {
    program.step(`enter folder ${options.cwd}`, "chdir", [program.cstring(options.cwd)]);
  }
  if (options.parentDeathSignal !== undefined) dieWithParent(program, options.parentDeathSignal, parentPid);
  program.wireFds();
  if (options.controllingTerminal) program.step("take terminal", "ioctl", [0, TIOCSCTTY, 0]);
  const [first = file, ...rest] = options.argv;
  const argv = program.cstrings([options.argv0 ?? first, ...rest]);
  const envp = program.cstrings(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  program.step(`execve ${file}`, "execve", [program.cstring(file), argv, envp]);
  return program;
}

/** "0" stands for the process that writes it. */
function joinCgroup(program: Program, path: string, fd: Slot): void {
  const name = `join cgroup ${path}`;
  program.step(name, "openat", [AT.FDCWD, program.cstring(path), O.WRONLY | O.CLOEXEC], { save: fd });
  program.step(name, "write", [fd, program.cstring("0"), 1]);
  program.step(name, "close", [fd]);
}

/** The label counts from `execve` on. */
function labelNext(program: Program, label: string): void {
  const fd = program.slot("label");
  const bytes = new TextEncoder().encode(label);
  const name = `set SELinux label ${label}`;
  const path = program.cstring("/proc/self/attr/exec");
  program.step(name, "openat", [AT.FDCWD, path, O.WRONLY | O.CLOEXEC], { save: fd });
  program.step(name, "write", [fd, program.bytes(bytes), bytes.length]);
  program.step(name, "close", [fd]);
}

function setOomScore(program: Program, score: number | undefined): void {
  if (score === undefined) return;
  const fd = program.slot("oom_score_adj");
  const bytes = new TextEncoder().encode(String(score));
  const [unset, done] = [program.label("not set"), program.label("oom score done")];
  const path = program.cstring("/proc/self/oom_score_adj");
  program.step("open oom score", "openat", [AT.FDCWD, path, O.WRONLY | O.CLOEXEC], {
    save: fd,
    onFailure: unset,
  });
  program.step("set oom score", "write", [fd, program.bytes(bytes), bytes.length], {
    onSuccess: done,
    mayFail: true,
  });
  program.place(unset);
  program.checkpoint(OOM_SCORE_UNSET);
  program.place(done);
  program.step("close oom score", "close", [fd], { mayFail: true });
}

function joinNamespaces(program: Program, { netns, newMountNamespace }: SpawnOptions): void {
  if (netns !== undefined) {
    const fd = program.slot("netns");
    const name = `join network namespace ${netns}`;
    program.step(name, "openat", [AT.FDCWD, program.cstring(netns), O.RDONLY | O.CLOEXEC], { save: fd });
    program.step(name, "setns", [fd, CLONE_NEWNET]);
    program.step(name, "close", [fd]);
  }
  if (newMountNamespace === "slave-shared") {
    const root = program.cstring("/");
    program.step("make mounts slaves", "mount", [0, root, 0, MS_REC | MS_SLAVE, 0]);
    program.step("make mounts shared", "mount", [0, root, 0, MS_REC | MS_SHARED, 0]);
  }
}

/** Groups first: without the user id of root they cannot be changed any more. */
function becomeUser(program: Program, { uid, gid, groups }: SpawnOptions): void {
  const list = groups ?? (uid !== undefined || gid !== undefined ? [] : undefined);
  if (list) {
    const bytes = new Uint8Array(Uint32Array.from(list).buffer);
    program.step("set groups", "setgroups", [list.length, list.length === 0 ? 0 : program.bytes(bytes)]);
  }
  if (gid !== undefined) program.step(`become group ${gid}`, "setresgid", [gid, gid, gid]);
  if (uid !== undefined) program.step(`become user ${uid}`, "setresuid", [uid, uid, uid]);
}

/** After the change of user, which disarms it. A parent that is gone already sends nothing any more, so look. */
function dieWithParent(program: Program, signal: number, parentPid: number): void {
  const parent = program.slot("parent");
  program.step("set parent death signal", "prctl", [PR_SET_PDEATHSIG, signal]);
  program.step("get parent", "getppid", [], { save: parent });
  program.expect("parent is alive", parent, { equals: parentPid, errno: "ESRCH" });
}
