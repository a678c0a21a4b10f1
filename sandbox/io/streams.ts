/**
 * Where a process's standard streams lead on the host: the shapes that every kind of them has.
 *
 * The copying itself (`copy.ts`) knows only these; the kinds are FIFOs, files and logging programs of a
 * containerd client (`open.ts`), descriptors of a command-line caller (`fd.ts`), and nothing at all.
 *
 * @module
 */

/** The host's end of a process's standard input. */
export interface InputEnd {
  /** Waits for bytes; 0 = end of input. */
  read(into: Uint8Array): Promise<number>;
  /** The client said that it will write no more: what it wrote is still read, then the end comes. */
  finish(): void;
  /** Stops reading; a pending read ends with 0. */
  close(): void;
}

/** The host's end of a process's standard output or standard error. */
export interface OutputEnd {
  /** Takes all the bytes, waiting for a slow reader; rejects when nobody can ever read them. */
  write(data: Uint8Array): Promise<void>;
  /** The process is gone: from now on a reader that is not there is an error instead of something to wait for. */
  ending(): void;
  close(): Promise<void>;
}

/** The standard streams of one process; a stream that is absent leads nowhere. */
export interface ProcessIo {
  readonly stdin?: InputEnd;
  readonly stdout?: OutputEnd;
  readonly stderr?: OutputEnd;
}

/**
 * A process's streams as a client names them, in the form of containerd's task service: empty = none, a path is
 * a FIFO, else a URI.
 */
export interface StdioNames {
  readonly terminal: boolean;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a process gets its streams: what they are called, and what opens them when the time has come. */
export interface IoSource {
  readonly names: StdioNames;
  open(): Promise<ProcessIo>;
}

/** No streams at all: input is empty, output is thrown away. */
export function noIo(terminal = false): IoSource {
  return {
    names: { terminal, stdin: "", stdout: "", stderr: "" },
    open: () => Promise.resolve({}),
  };
}

/** Closes whatever of the streams is still open; never rejects. */
export async function closeIo(io: ProcessIo): Promise<void> {
  io.stdin?.close();
  await Promise.allSettled([io.stdout?.close(), io.stderr?.close()]);
}
