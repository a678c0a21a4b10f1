import { closeFd, pipe, setPipeSize } from "../sys/fd.ts";
import { AsyncFd } from "../sys/poll.ts";
import type { Process } from "../oci/spec.ts";
import { openPty, type Pty, setWindowSize, type WindowSize } from "../sys/pty.ts";
import type { StdioEnds } from "./container/stdio.ts";
import { StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** Both sides of the streams of a process that is being made; what nobody has taken is closed in the end. */
export interface Streams extends Disposable {
  readonly child: ChildEnds;
  /** The agent's side goes to the caller. */
  take(): ProcessIo;
}

/** The process's ends; closed by the agent as soon as the process has copies of its own, or was not made. */
export interface ChildEnds extends Disposable {
  readonly stdio: StdioEnds;
}

/** The agent's ends of the standard streams of a process: three pipes, or one terminal. */
export class ProcessIo implements Disposable {
  readonly stdin: StreamWriter;
  readonly stdout: StreamReader;
  /** A terminal has one output only. */
  readonly stderr: StreamReader | undefined;
  /** Master of the terminal, owned by `stdout`. */
  readonly #terminal: number | undefined;

  constructor(stdin: StreamWriter, stdout: StreamReader, rest: StreamReader | { readonly terminal: number }) {
    this.stdin = stdin;
    this.stdout = stdout;
    this.stderr = rest instanceof StreamReader ? rest : undefined;
    this.#terminal = rest instanceof StreamReader ? undefined : rest.terminal;
  }

  /** Whether the process has a terminal. */
  get isTerminal(): boolean {
    return this.#terminal !== undefined;
  }

  /** Whether all output has been read to its end. */
  get drained(): boolean {
    return this.stdout.ended && (this.stderr?.ended ?? true);
  }

  /** Tells the terminal its size; nothing happens if there is none any more. */
  resize(size: WindowSize): void {
    if (this.#terminal !== undefined && !this.stdout.ended) setWindowSize(this.#terminal, size);
  }

  /** Closes everything; output that was not read is lost. */
  [Symbol.dispose](): void {
    this.stdin[Symbol.dispose]();
    this.stdout[Symbol.dispose]();
    this.stderr?.[Symbol.dispose]();
  }
}

/**
 * Makes both sides of the standard streams of a process.
 *
 * @param pipeSize capacity of the pipes in bytes; 0 = the kernel's default
 * @param makePty where a terminal comes from; default: the agent's own devpts, as a container that is still to be made
 * has none
 */
export function openStreams(
  process: Pick<Process, "terminal" | "consoleSize">,
  pipeSize: number,
  makePty: () => Pty = openPty,
): Streams {
  const { terminal, consoleSize } = process;
  const size = consoleSize && { rows: consoleSize.height, columns: consoleSize.width };
  const { io, child } = terminal ? openTerminal(makePty(), size) : openPipes(pipeSize);
  let taken = false;
  return {
    child,
    take() {
      taken = true;
      return io;
    },
    [Symbol.dispose]() {
      child[Symbol.dispose]();
      if (!taken) io[Symbol.dispose]();
    },
  };
}

function openPipes(size: number): { io: ProcessIo; child: ChildEnds } {
  using opened = new DisposableStack();
  const make = () => {
    const ends = pipe();
    for (const end of ends) opened.defer(() => closeFd(end));
    if (size > 0) setPipeSize(ends[0], size);
    return ends;
  };
  const [input, output, errors] = [make(), make(), make()];
  // From here on every descriptor has an owner of its own.
  opened.move();
  const io = new ProcessIo(
    new StreamWriter(new AsyncFd(input[1], "stdin"), true),
    new StreamReader(new AsyncFd(output[0], "stdout")),
    new StreamReader(new AsyncFd(errors[0], "stderr")),
  );
  const stdio: StdioEnds = { kind: "pipes", stdin: input[0], stdout: output[1], stderr: errors[1] };
  return { io, child: owned(stdio, [input[0], output[1], errors[1]]) };
}

function openTerminal(pty: Pty, size: WindowSize | undefined): { io: ProcessIo; child: ChildEnds } {
  const { master, slave, slavePath } = pty;
  if (size) setWindowSize(slave, size);
  const io = new ProcessIo(new StreamWriter(master, false), new StreamReader(master), {
    terminal: master.fd,
  });
  return { io, child: owned({ kind: "terminal", slave, slavePath }, [slave]) };
}

function owned(stdio: StdioEnds, fds: readonly number[]): ChildEnds {
  let open = true;
  return {
    stdio,
    [Symbol.dispose]() {
      if (open) fds.forEach(closeFd);
      open = false;
    },
  };
}
