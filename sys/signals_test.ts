import assert from "node:assert/strict";
import { exitCodeOf, signalName, signalNumber, SIGNALS } from "./signals.ts";

Deno.test("signals are known by name, short name and number, in either case", () => {
  for (const [name, number] of Object.entries(SIGNALS)) {
    assert.equal(signalNumber(name), number);
    assert.equal(signalNumber(name.slice(3).toLowerCase()), number);
    assert.equal(signalNumber(String(number)), number);
    assert.equal(signalName(number), name);
  }
  assert.equal(signalNumber("SIGPOLL"), SIGNALS.SIGIO);
});

Deno.test("real-time signals are counted from both ends", () => {
  assert.equal(signalNumber("SIGRTMIN"), 34);
  assert.equal(signalNumber("SIGRTMIN+3"), 37);
  assert.equal(signalNumber("RTMAX-1"), 63);
  assert.equal(signalNumber("64"), 64);
  assert.equal(signalName(34), "SIGRTMIN");
  assert.equal(signalName(37), "SIGRTMIN+3");
  assert.equal(signalName(32), "signal 32");
});

Deno.test("what is no signal is refused, by name", () => {
  for (const text of ["", "SIG", "NOPE", "0", "65", "-1", "15x", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN+31"]) {
    assert.throws(() => signalNumber(text), new RangeError(`unknown signal "${text}"`));
  }
});

Deno.test("exit codes count signals from 128", () => {
  assert.equal(exitCodeOf({ code: 3, signal: 0 }), 3);
  assert.equal(exitCodeOf({ code: 0, signal: 9 }), 137);
});
