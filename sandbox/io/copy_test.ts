import assert from "node:assert/strict";
import { delay } from "../../sys/timer.ts";
import type { Log } from "../log/log.ts";
import { type GuestStreams, StreamCopier } from "./copy.ts";
import type { OutputEnd } from "./streams.ts";

const LOG: Log = { write: () => {} };

/** A guest whose process has a terminal, and whose answers to reads of its output are the test's. */
function guestWith(readOutput: () => Promise<Uint8Array>): GuestStreams {
  const done = () => Promise.resolve();
  return { readOutput, writeInput: done, closeInput: done, roundTrip: done };
}

/** Keeps what is written. */
class Kept implements OutputEnd {
  text = "";

  write(data: Uint8Array): Promise<void> {
    this.text += new TextDecoder().decode(data);
    return Promise.resolve();
  }
  ending(): void {}
  close = () => Promise.resolve();
}

Deno.test("output that is kept back is no end: what comes after it is delivered", async () => {
  const answers = ["one ", "", "", "two"].map((text) => new TextEncoder().encode(text));
  const guest = guestWith(() => {
    const answer = answers.shift();
    return answer === undefined ? Promise.reject(new Error("at its end")) : Promise.resolve(answer);
  });
  const stdout = new Kept();
  const copier = new StreamCopier(guest, { stdout }, LOG);
  copier.start(true);
  await copier.finish({ endOfFile: true, killed: () => false });
  assert.equal(stdout.text, "one two");
});

Deno.test("a guest that has empty answers without end does not keep the rest waiting", async () => {
  const most = 1_000_000;
  let count = 0;
  const guest = guestWith(() => {
    const isEnd = ++count === most;
    return isEnd ? Promise.reject(new Error("enough")) : Promise.resolve(new Uint8Array());
  });
  const copier = new StreamCopier(guest, {}, LOG);
  copier.start(true);
  await delay(1);
  const seen = count;
  count = most - 1;
  await copier.finish({ endOfFile: true, killed: () => false });
  assert.ok(seen < most, "all answers were read without a turn for anything else");
});
