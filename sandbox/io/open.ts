/**
 * Opens the streams that a containerd client names.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import { reason } from "../log/log.ts";
import { FifoInput, FifoOutput } from "./fifo.ts";
import { FileOutput } from "./file.ts";
import { closeIo, type IoSource, type OutputEnd, type ProcessIo, type StdioNames } from "./streams.ts";

/** Who the streams belong to; passed on to logging programs. */
export interface IoOwner {
  readonly namespace: string;
  readonly id: string;
}

/** Streams by containerd's names: FIFO paths, `file://`, `binary://`, `binary-v2://`. */
export function clientIo(names: StdioNames, owner: IoOwner): IoSource {
  return { names, open: () => openClientIo(names, owner) };
}

/** The scheme of a stream's name; a path alone is a FIFO. */
export function schemeOf(name: string): string {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(name);
  return match?.[1]?.toLowerCase() ?? "fifo";
}

/** The path in a name with or without a scheme. */
export function pathOf(name: string): string {
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(name) ? decodeURIComponent(new URL(name).pathname) : name;
}

/** @throws {RpcError} a scheme that is not known, or a stream that cannot be opened */
async function openClientIo(names: StdioNames, owner: IoOwner): Promise<ProcessIo> {
  // the scheme of stdout decides for all
  const scheme = schemeOf(names.stdout === "" ? names.stdin : names.stdout);
  try {
    switch (scheme) {
      case "fifo":
        return await openFifos(names);
      case "file":
        return await openFiles(names);
      case "binary":
      case "binary-v2":
        return await (await import("./binary.ts")).openLogger(names, owner);
    }
  } catch (error) {
    throw new RpcError(Code.InvalidArgument, `cannot open the streams of "${owner.id}": ${reason(error)}`, {
      cause: error,
    });
  }
  throw new RpcError(
    Code.InvalidArgument,
    `stream "${names.stdout}" must be a FIFO, a file:// or a binary:// URI`,
  );
}

async function openFifos(names: StdioNames): Promise<ProcessIo> {
  const io: { stdin?: FifoInput; stdout?: OutputEnd; stderr?: OutputEnd } = {};
  try {
    if (names.stdin !== "") io.stdin = new FifoInput(pathOf(names.stdin));
    if (names.stdout !== "") io.stdout = await openOutput(pathOf(names.stdout));
    // with a terminal, stderr may name a FIFO that nobody makes
    if (names.stderr !== "" && !names.terminal) io.stderr = await openOutput(pathOf(names.stderr));
    return io;
  } catch (error) {
    await closeIo(io);
    throw error;
  }
}

/** A client may also put a plain file or `/dev/null` where a FIFO is meant. */
async function openOutput(path: string): Promise<OutputEnd> {
  const isFifo = (await Deno.stat(path)).isFifo;
  return isFifo ? new FifoOutput(path) : await FileOutput.open(path);
}

async function openFiles(names: StdioNames): Promise<ProcessIo> {
  const io: { stdout?: OutputEnd; stderr?: OutputEnd } = {};
  try {
    if (names.stdout !== "") io.stdout = await FileOutput.open(pathOf(names.stdout));
    if (names.stderr !== "" && !names.terminal) io.stderr = await FileOutput.open(pathOf(names.stderr));
    return io;
  } catch (error) {
    await closeIo(io);
    throw error;
  }
}
