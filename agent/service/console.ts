import type { Shell } from "../debug_console/shell.ts";
import { failedPrecondition, invalidArgument, notFound } from "../errors.ts";
import { type Logger, type LogLevel, parseLogLevel } from "../log.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { GuestConsole, OpenConsoleRequest } from "../../rpc/gen/console_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { exitCodeOf } from "../../sys/signals.ts";

/** What consoles need. */
export interface ConsoleOptions {
  /** Whether operators may have a shell in the guest. */
  readonly debugConsole: boolean;
  readonly log: Logger;
  /** Changes what is logged from now on. */
  readonly setLogLevel: (level: LogLevel) => void;
  /** For tests: other shells than the guest's. */
  readonly shells?: readonly string[];
}

/** How many shells there may be at a time. */
const MAX_SHELLS = 16;

const MAX_SIZE = 0xffff;

/** What a shell's TERM is if the operator's makes no sense. */
const DEFAULT_TERM = "linux";

/** Shells for operators, by number. What they are made of is loaded with the first. */
export function consoleHandlers(options: ConsoleOptions): Handlers<typeof GuestConsole.methods> {
  const { log } = options;
  const shells = new Map<number, Shell>();
  let lastId = 0;
  const shell = (id: number): Shell => {
    const found = shells.get(id);
    if (found === undefined) throw notFound(`console ${id} does not exist`);
    return found;
  };
  return {
    async open(request) {
      if (!options.debugConsole) {
        throw failedPrecondition(
          'the debug console is off: it needs "debug_console_enabled = true" in [agent.kata] ' +
            "of the configuration when the sandbox is created",
        );
      }
      if (shells.size >= MAX_SHELLS) {
        throw new RpcError(Code.ResourceExhausted, `${MAX_SHELLS} consoles are open: close one of them`);
      }
      const size = sizeOf(request);
      const term = termOf(request.term);
      const { Shell } = await import("../debug_console/shell.ts");
      const opened = await Shell.start({ size, term, shells: options.shells });
      const id = ++lastId;
      shells.set(id, opened);
      log.info("a debug console was opened", { id, shell: opened.path });
      return { id, shell: opened.path };
    },
    async read({ id }, { signal }) {
      const reading = shell(id);
      const data = await reading.read(signal);
      if (data !== undefined) return { data };
      return { ended: true, status: exitCodeOf(await reading.exited) };
    },
    async write({ id, data, end }) {
      if (data.length > 0) await shell(id).write(data);
      if (end) await shell(id).end();
      return {};
    },
    resize(request) {
      const size = sizeOf({ ...request, terminal: true });
      if (size) shell(request.id).resize(size);
      return {};
    },
    close({ id }) {
      const closed = shells.get(id);
      shells.delete(id);
      closed?.[Symbol.dispose]();
      if (closed) log.info("a debug console was closed", { id });
      return {};
    },
    setLogLevel({ level }) {
      options.setLogLevel(levelOf(level));
      return {};
    },
  };
}

function levelOf(text: string): LogLevel {
  try {
    return parseLogLevel(text, "the log's level");
  } catch (error) {
    throw invalidArgument(error instanceof Error ? error.message : String(error));
  }
}

function sizeOf({ terminal, rows, columns }: Pick<OpenConsoleRequest, "terminal" | "rows" | "columns">) {
  if (!terminal) return undefined;
  if (rows > MAX_SIZE || columns > MAX_SIZE) {
    throw invalidArgument(`a terminal has at most ${MAX_SIZE} rows and columns: ${rows} × ${columns}`);
  }
  return { rows, columns };
}

function termOf(text: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$/.test(text) ? text : DEFAULT_TERM;
}
