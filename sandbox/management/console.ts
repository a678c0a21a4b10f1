/**
 * Consoles in the guest for tools on the host: the agent's own service, handed on call by call.
 *
 * Each answer is asked for, so a tool that does not take its output holds up nobody else's calls to the agent.
 *
 * @module
 */

import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import type { ByteStream } from "../../rpc/stream.ts";
import { TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { type Handlers, implement } from "../../rpc/ttrpc/typed.ts";
import { CALL_TIMEOUT_MS } from "../guest/agent_client.ts";
import type { ManagedSandbox } from "./managed.ts";

const LIMIT = { timeoutMs: CALL_TIMEOUT_MS };

/** Serves a tool to the end of its connection, and closes the consoles that it has left open. */
export async function serveConsole({ client, log }: ManagedSandbox, stream: ByteStream): Promise<void> {
  const guest = client.service(GuestConsole);
  const opened = new Set<number>();
  const handlers: Handlers<typeof GuestConsole.methods> = {
    async open(request) {
      const answer = await guest.open(request, LIMIT);
      opened.add(answer.id);
      log.write("info", "a debug console was opened", { console: answer.id });
      return answer;
    },
    // these wait for a person, or for a program that reads when it likes
    read: (request, { signal }) => guest.read(request, { signal }),
    write: (request, { signal }) => guest.write(request, { signal }),
    resize: (request) => guest.resize(request, LIMIT),
    close(request) {
      opened.delete(request.id);
      return guest.close(request, LIMIT);
    },
    setLogLevel: (request) => guest.setLogLevel(request, LIMIT),
  };
  await new TtrpcServer([implement(GuestConsole, handlers)]).serve(stream);
  for (const id of opened) {
    log.write("info", "a debug console was left open and is closed", { console: id });
    await guest.close({ id }, LIMIT).catch(() => {});
  }
}
