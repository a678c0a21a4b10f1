import { AT } from "../sys/abi/file.ts";
import { memfd, O, openFd, OwnedFd, writeFd } from "../sys/fd.ts";
import { CLONE } from "../sys/host.ts";
import { launch } from "../sys/launch.ts";
import { idleExecutable } from "../sys/native/idle.ts";
import type { ChildProcess } from "../sys/process.ts";
import { Program, u32 } from "../sys/program.ts";
import { SIGNALS } from "../sys/signals.ts";

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
    const launched = launch(firstProcess(file.fd), { flags: CLONE.NEWPID, inherit: [file.fd] });
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

function firstProcess(fd: number): Program {
  const [SIG_IGN, SIGNAL_SET_BYTES] = [1, 8];
  const program = new Program();
  // handler, flags and whatever else belongs to the structure on this architecture
  const ignore = program.struct([u32(SIG_IGN), u32(0), u32(0), u32(0), u32(0), u32(0), u32(0), u32(0)]);
  program.step("ignore ends of children", "rt_sigaction", [SIGNALS.SIGCHLD, ignore, 0, SIGNAL_SET_BYTES]);
  program.step("start a session", "setsid", []);
  const [argv, env] = [program.cstrings([NAME]), program.cstrings([])];
  program.step("execute", "execveat", [fd, program.cstring(""), argv, env, AT.EMPTY_PATH]);
  return program;
}
