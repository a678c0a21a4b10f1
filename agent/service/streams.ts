import type { AgentService, ReadStreamRequest } from "../../rpc/gen/agent_pb.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import type { CallContext } from "../../rpc/ttrpc/server.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { failedPrecondition, invalidArgument } from "../errors.ts";
import type { Sandbox } from "../sandbox.ts";

/**
 * The standard streams of processes.
 *
 * @param unitBytes most bytes that the channel takes at once, if there is such a limit: see {@link fitting}
 */
export function streamHandlers(
  sandbox: Sandbox,
  unitBytes: number | undefined,
): Handlers<typeof AgentService.methods> {
  const read = async (stream: "stdout" | "stderr", request: ReadStreamRequest, context: CallContext) => {
    const process = sandbox.container(request.containerId).process(request.execId);
    const data = await process.output(stream)?.read(fitting(request.len, unitBytes), context.signal);
    if (data) return { data };
    // Clients know the end of a stream by the word "eof".
    throw new RpcError(Code.OutOfRange, process.io.isTerminal ? "eof" : "read meet eof");
  };
  return {
    readStdout: (request, context) => read("stdout", request, context),
    readStderr: (request, context) => read("stderr", request, context),
    async writeStdin({ containerId, execId, data }) {
      const process = sandbox.container(containerId).process(execId);
      if (data.length === 0) process.io.stdin.end();
      else await process.write(data);
      return { len: data.length };
    },
    closeStdin({ containerId, execId }) {
      sandbox.container(containerId).process(execId).io.stdin.end();
      return {};
    },
    ttyWinResize({ containerId, execId, row, column }) {
      const process = sandbox.container(containerId).process(execId);
      if (!process.io.isTerminal) throw failedPrecondition(`no tty: process "${process.id}" has none`);
      if (row > MAX_SIZE || column > MAX_SIZE) {
        throw invalidArgument(
          `a terminal has at most ${MAX_SIZE} rows and columns: asked for are ${row} and ${column}`,
        );
      }
      process.io.resize({ rows: row, columns: column });
      return {};
    },
  };
}

/** What an answer may have around its data, in bytes; with room to spare. */
const AROUND_BYTES = 64;

/**
 * How much to read so that the answer fills whole units of the channel. Over a virtio-serial port each unit has to be
 * taken by the host before the next can be written: an answer that is a few bytes longer takes twice the time.
 *
 * @param wanted most bytes that the client wants
 */
export function fitting(wanted: number, unitBytes: number | undefined): number {
  if (unitBytes === undefined || wanted + AROUND_BYTES <= unitBytes) return wanted;
  return Math.floor((wanted + AROUND_BYTES) / unitBytes) * unitBytes - AROUND_BYTES;
}

/** The kernel keeps rows and columns in 16 bits. */
const MAX_SIZE = 0xffff;
