import { AT } from "../sys/abi/file.ts";
import { fchmodFd, memfd, O, openFd, OwnedFd, writeFd } from "../sys/fd.ts";
import { CLONE } from "../sys/host.ts";
import { launch } from "../sys/launch.ts";
import { idleExecutable } from "../sys/native/idle.ts";
import type { ChildProcess } from "../sys/process.ts";
import { type Program, u32 } from "../sys/program.ts";
import { SIGNALS } from "../sys/signals.ts";

/** A user that no container has by accident. */
const NOBODY = 4_294_900_000;
const PR_CAPBSET_DROP = 24, PR_SET_NO_NEW_PRIVS = 38;
const LAST_CAPABILITY = 63;

/** The program's first argument, which is what lists of processes show. */
const NAME = "pause";

/**
 * The pid namespace that containers of a pod share.
 *
 * A namespace lives as long as its first process. That one belongs to no container, so that each can come and go; it
 * only waits, and since it ignores the ends of children the kernel reaps the orphans that become its own.
 */
export class SharedPids implements AsyncDisposable {
  readonly #namespace: OwnedFd;
  readonly #first: ChildProcess;

  private constructor(namespace: OwnedFd, first: ChildProcess) {
    this.#namespace = namespace;
    this.#first = first;
  }

  /** Starts the first process. @throws {StepError} */
  static async create(): Promise<SharedPids> {
    await using taken = new AsyncDisposableStack();
    const file = taken.use(new OwnedFd(memfd(NAME)));
    writeFd(file.fd, idleExecutable());
    // Not readable for the user that executes it: then nobody may look into the process.
    fchmodFd(file.fd, 0o111);
    const program = await firstProcess(file.fd);
    const launched = launch(program, { flags: CLONE.NEWPID | CLONE.NEWNS, inherit: [file.fd] });
    const first = taken.use(launched.child);
    await launched.executed();
    const namespace = new OwnedFd(openFd(`/proc/${first.pid}/ns/pid`, O.RDONLY));
    // the process is the namespace's from here on
    taken.move();
    file.close();
    return new SharedPids(namespace, first);
  }

  /** Descriptor of the namespace. */
  get fd(): number {
    return this.#namespace.fd;
  }

  /** Ends every process in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#namespace.close();
    await this.#first[Symbol.asyncDispose]();
  }
}

/**
 * Processes of containers see this one, and those with the privilege to trace others could take it over: so it has
 * nothing of the agent's. Its root is an empty folder, its user nobody else's, its privileges none.
 */
async function firstProcess(fd: number): Promise<Program> {
  const { leaveRoot, Steps } = await import("./container/plan/empty_root.ts");
  const [SIG_IGN, SIGNAL_SET_BYTES] = [1, 8];
  const steps = new Steps();
  const { program } = steps;
  leaveRoot(steps);
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) {
    const drop = [PR_CAPBSET_DROP, capability, 0, 0, 0];
    program.step(`drop capability ${capability}`, "prctl", drop, { mayFail: ["EINVAL", "EPERM"] });
  }
  program.step("leave groups", "setgroups", [0, 0]);
  program.step("become nobody's group", "setresgid", [NOBODY, NOBODY, NOBODY]);
  // With it go all privileges.
  program.step("become nobody", "setresuid", [NOBODY, NOBODY, NOBODY]);
  program.step("set no_new_privs", "prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
  // handler, flags and whatever else belongs to the structure on this architecture
  const ignore = program.struct([u32(SIG_IGN), u32(0), u32(0), u32(0), u32(0), u32(0), u32(0), u32(0)]);
  program.step("ignore ends of children", "rt_sigaction", [SIGNALS.SIGCHLD, ignore, 0, SIGNAL_SET_BYTES]);
  const [argv, env] = [program.cstrings([NAME]), program.cstrings([])];
  program.step("execute", "execveat", [fd, program.cstring(""), argv, env, AT.EMPTY_PATH]);
  return program;
}
