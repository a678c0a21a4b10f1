/** Taking a device out of a running machine, which the guest has to agree to. */

import { Timer } from "../../../sys/timer.ts";
import { type QmpClient, QmpError } from "../qmp.ts";
import type { VmEvents } from "../vm_events.ts";

/** What hot plug works with. */
export interface Plugs {
  readonly qmp: QmpClient;
  readonly events: VmEvents;
}

/** A device could not be taken out: by the guest's will, or by QEMU's. */
export class UnplugRefused extends Error {
  override readonly name = "UnplugRefused";
}

/** How long a guest may take to let go of a device, in milliseconds. */
const UNPLUG_MS = 10_000;

/**
 * Asks the guest to let go of a device, and waits until it is gone: QEMU's answer to `device_del` only means that the
 * guest was asked.
 *
 * @param id the device's
 * @throws {UnplugRefused} it cannot be unplugged, or the guest said no, or nothing in time; it may still go later
 */
export async function removeDevice({ qmp, events }: Plugs, id: string, timeoutMs = UNPLUG_MS): Promise<void> {
  const late = Promise.withResolvers<"late">();
  using waiting = new DisposableStack();
  const removal = waiting.use(events.awaitRemoval(id));
  waiting.use(new Timer(timeoutMs, () => late.resolve("late")));
  try {
    await qmp.execute("device_del", { id });
  } catch (error) {
    // the guest has let go of it after all, when nobody waited any more
    if (error instanceof QmpError && error.errorClass === "DeviceNotFound") return;
    // among others, as it was asked before and has not answered yet
    if (error instanceof QmpError) throw new UnplugRefused(error.message, { cause: error });
    throw error;
  }
  const end = await Promise.race([removal.done, late.promise]);
  if (end === "gone") return;
  const why = end === "late" ? `has not let go of it within ${timeoutMs} ms` : "refuses to let go of it";
  throw new UnplugRefused(`cannot unplug device "${id}": the guest ${why}`);
}
