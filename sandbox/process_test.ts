import assert from "node:assert/strict";
import type { GuestProcess } from "./guest/process.ts";
import { noIo } from "./io/streams.ts";
import type { Log } from "./log/log.ts";
import { Process } from "./process.ts";

/** A process of a guest that answers nothing but signals. */
class Silent implements GuestProcess {
  readonly signals: number[] = [];
  /** for the test to say */
  readonly status = Promise.withResolvers<number>();

  wait(): Promise<number> {
    return this.status.promise;
  }
  signal(signal: number): Promise<void> {
    this.signals.push(signal);
    return Promise.resolve();
  }
  resize = () => Promise.resolve();
  readOutput = () => new Promise<Uint8Array>(() => {});
  writeInput = () => new Promise<void>(() => {});
  closeInput = () => new Promise<void>(() => {});
  roundTrip = () => Promise.resolve();
}

async function started(guest: Silent, log: Log): Promise<Process> {
  const process = new Process({
    id: "c1",
    guest,
    io: noIo(),
    log,
    isInit: true,
    killMs: 20,
    onChange: () => Promise.resolve(),
  });
  process.watch();
  await process.start(() => Promise.resolve());
  return process;
}

Deno.test("a process that was killed has ended, even if its guest never says so", async () => {
  const logged: string[] = [];
  const process = await started(new Silent(), {
    write: (level, text) => void logged.push(`${level}: ${text}`),
  });
  await process.signal(15, false);
  await process.signal(9, false);
  assert.equal((await process.exited).status, 137);
  assert.deepEqual(logged, ['warning: the guest does not report the end of "c1", which was killed']);
  assert.equal(process.state.kind, "stopped");
});

Deno.test("a process that was killed has ended, even if its guest never ends the output", async () => {
  const guest = new Silent();
  const process = await started(guest, { write: () => {} });
  guest.status.resolve(3);
  await process.signal(9, false);
  assert.equal((await process.exited).status, 3);
});
