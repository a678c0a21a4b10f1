/** Waits for devices that the host has plugged in. */

import { Uevents } from "../../sys/netlink/uevent.ts";
import { Timer } from "../../sys/timer.ts";
import { failedPrecondition } from "../errors.ts";

/**
 * Looks for a device, at once and after every event of the kernel's.
 *
 * @param find what was found, or undefined as long as it is not there
 * @param what the device, for the message
 * @throws {RpcError} `FailedPrecondition` if it has not come in time
 */
export async function appearance<T>(find: () => T | undefined, what: string, timeoutMs: number): Promise<T> {
  const present = find();
  if (present !== undefined) return present;
  using waiting = new DisposableStack();
  // Listens from here on: what comes before the next look is seen by it.
  const events = waiting.use(new Uevents());
  let late = false;
  waiting.use(
    new Timer(timeoutMs, () => {
      late = true;
      events.close();
    }),
  );
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    try {
      await events.next();
    } catch (error) {
      if (!late) throw error;
      throw failedPrecondition(`${what} has not appeared in the guest within ${timeoutMs} ms`);
    }
  }
}
