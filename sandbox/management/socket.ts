/**
 * The socket by which tools on the host ask a sandbox's owner: HTTP, for the same user only.
 *
 * A start pays for one listening socket. What answers is loaded with the first request.
 *
 * @module
 */

import type { HttpAnswer, HttpHandler, HttpUpgrade } from "../../rpc/http/server.ts";
import type { AsyncFd } from "../../sys/poll.ts";
import { type Listener, listenUnix, peerCredentials } from "../../sys/socket.ts";
import { type Log, reason } from "../log/log.ts";

const SOCKET_MODE = 0o600;

/** How many requests are served at a time; more wait in the kernel's queue. */
const MAX_CONNECTIONS = 32;

/** How many connections may speak another protocol, which they do for hours; they keep no request waiting. */
const MAX_UPGRADED = 16;

/** A listening socket. */
export class ManagementSocket implements Disposable {
  readonly #listener: Listener | undefined;
  readonly #log: Log;
  readonly #connections = new Set<AsyncFd>();
  readonly #upgraded = new Set<AsyncFd>();
  #freed = Promise.withResolvers<void>();

  private constructor(listener: Listener | undefined, log: Log) {
    this.#listener = listener;
    this.#log = log;
  }

  /**
   * Listens in a sandbox's folder. A sandbox that cannot be asked is better than none: that it fails is logged.
   *
   * @param path in the folder of the saved state; the socket's file goes when that is removed
   */
  static listen(path: string, log: Log): ManagementSocket {
    try {
      return new ManagementSocket(listenUnix(path, { mode: SOCKET_MODE }), log);
    } catch (error) {
      log.write("warning", `the sandbox has no management socket: ${reason(error)}`);
      return new ManagementSocket(undefined, log);
    }
  }

  /** Answers from now on. @param load is called with the first request */
  async serve(load: () => Promise<HttpHandler>): Promise<void> {
    if (this.#listener === undefined) return;
    let handler: Promise<HttpHandler> | undefined;
    try {
      for (;;) {
        while (this.#connections.size >= MAX_CONNECTIONS) await this.#freed.promise;
        const connection = await this.#listener.accept();
        if (!isSameUser(connection)) {
          connection.close();
          continue;
        }
        this.#serveOne(connection, handler ??= load());
      }
    } catch (error) {
      // the listener is closed when the sandbox ends
      this.#log.write("debug", `no more management requests: ${reason(error)}`);
    }
  }

  async #serveOne(connection: AsyncFd, handler: Promise<HttpHandler>): Promise<void> {
    this.#connections.add(connection);
    try {
      const { serveHttp } = await import("../../rpc/http/server.ts");
      const answer = await handler;
      await serveHttp(connection, async (request) => this.#counted(connection, await answer(request)));
    } catch (error) {
      this.#log.write("warning", `management: ${reason(error)}`);
    } finally {
      connection.close();
      this.#upgraded.delete(connection);
      this.#free(connection);
    }
  }

  /** One that changes its protocol is no request any more. */
  #counted(connection: AsyncFd, answer: HttpAnswer | HttpUpgrade): HttpAnswer | HttpUpgrade {
    if (!("upgrade" in answer)) return answer;
    if (this.#upgraded.size >= MAX_UPGRADED) {
      return { status: 503, body: `there are ${MAX_UPGRADED} connections of this kind already\n` };
    }
    this.#upgraded.add(connection);
    this.#free(connection);
    return answer;
  }

  #free(connection: AsyncFd): void {
    this.#connections.delete(connection);
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
  }

  /** Stops listening and closes all connections. Safe to call again. */
  [Symbol.dispose](): void {
    this.#listener?.close();
    for (const connection of [...this.#connections, ...this.#upgraded]) connection.close();
  }
}

/** The file's mode says the same; the folder above it may have been made by others. */
function isSameUser(connection: AsyncFd): boolean {
  try {
    return peerCredentials(connection.fd).uid === Deno.uid();
  } catch {
    return false;
  }
}
