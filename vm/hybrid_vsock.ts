/**
 * Hybrid vsock: the guest has a real vsock device, the host connects by a unix socket of the VM and names the port in
 * its first line.
 */

import type { ByteStream } from "../rpc/stream.ts";
import { isErrno } from "../sys/errors.ts";
import { connectUnix } from "../sys/socket.ts";
import { Timer } from "../sys/timer.ts";

/** How long the other side may take to answer, in milliseconds. */
const HANDSHAKE_MS = 10_000;

/** Longest answer; it is "OK " and a number. */
const MAX_ANSWER = 64;

/**
 * Connects to a port of the guest: `CONNECT <port>`, answered by `OK <number>`, then the stream is the port's.
 *
 * @throws {SysError} there is no such socket, or nobody serves it
 * @throws {Error} nobody listens on the port
 */
export async function connectHybrid(path: string, port: number, signal?: AbortSignal): Promise<ByteStream> {
  signal?.throwIfAborted();
  const stream = await connectUnix(path);
  const close = () => stream.close();
  signal?.addEventListener("abort", close);
  let late = false;
  const timer = new Timer(HANDSHAKE_MS, () => {
    late = true;
    close();
  });
  try {
    const answer = await ask(stream, port);
    if (!/^OK \d+$/.test(answer)) throw nobodyListens(port, `"${path}" answered "${answer}"`);
    return stream;
  } catch (error) {
    stream.close();
    signal?.throwIfAborted();
    if (late) throw nobodyListens(port, `"${path}" did not answer within ${HANDSHAKE_MS} ms`);
    throw error;
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", close);
  }
}

function nobodyListens(port: number, reason: string): Error {
  return new Error(`nobody listens on port ${port} of the guest: ${reason}`);
}

/** @returns the answer; "" if the other side hangs up, as it does before the guest's driver is ready */
async function ask(stream: ByteStream, port: number): Promise<string> {
  try {
    await stream.write(new TextEncoder().encode(`CONNECT ${port}\n`));
    return await readLine(stream);
  } catch (error) {
    if (isErrno(error, "EPIPE", "ECONNRESET")) return "";
    throw error;
  }
}

/** Reads byte by byte, as what follows the line is the port's. */
async function readLine(stream: ByteStream): Promise<string> {
  const byte = new Uint8Array(1);
  let line = "";
  while (line.length < MAX_ANSWER) {
    if (await stream.read(byte) === 0 || byte[0] === 10) break;
    line += String.fromCharCode(byte[0] ?? 0);
  }
  return line;
}
