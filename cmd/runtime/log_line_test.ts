import assert from "node:assert/strict";
import { appendToLog, withLog } from "./log_file.ts";
import { DEFAULT_GLOBALS } from "./globals.ts";
import { type Event, jsonLine, rfc3339, terminalLine, textLine } from "./log_line.ts";

const EVENT: Event = {
  time: new Date(2026, 0, 2, 3, 4, 5),
  level: "warning",
  message: 'it said "no"\n',
  fields: { type: "flag", name: "vmx", count: 2, path: "/dev/kvm", empty: "" },
};

Deno.test("a line of a file has its fields sorted, and quotes where they are needed", () => {
  assert.equal(
    textLine(EVENT),
    `time="${
      rfc3339(EVENT.time)
    }" level=warning msg="it said \\"no\\"\\n" count=2 empty="" name=vmx path=/dev/kvm type=flag\n`,
  );
  assert.equal(
    textLine({ ...EVENT, message: "", fields: {} }),
    `time="${rfc3339(EVENT.time)}" level=warning\n`,
  );
  assert.match(rfc3339(EVENT.time), /^2026-01-02T03:04:05(Z|[+-]\d\d:\d\d)$/);
});

Deno.test("a line of a terminal is short and in columns", () => {
  const line = terminalLine({ ...EVENT, message: "CPU property found", fields: { name: "vmx" } }, 7.9);
  assert.equal(line, `WARN[0007] ${"CPU property found".padEnd(44)} name=vmx\n`);
});

Deno.test("a JSON line is one object with its keys sorted", () => {
  const object = JSON.parse(jsonLine(EVENT));
  assert.deepEqual(Object.keys(object), ["count", "empty", "level", "msg", "name", "path", "time", "type"]);
  assert.equal(object.msg, EVENT.message);
});

Deno.test("--log appends to a file that others cannot read; without it nothing is written", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const log = `${folder}/log`;
    appendToLog({ ...DEFAULT_GLOBALS, log }, "env", "error", "first");
    appendToLog({ ...DEFAULT_GLOBALS, log, logFormat: "json" }, "env", "error", "second");
    appendToLog(DEFAULT_GLOBALS, "env", "error", "third");
    const [first = "", second = "", ...rest] = Deno.readTextFileSync(log).split("\n");
    assert.match(
      first,
      /^time="\S+" level=error msg=first arch=a\w+64 command=env name=kata-runtime pid=\d+ source=runtime$/,
    );
    assert.equal(JSON.parse(second).msg, "second");
    assert.deepEqual(rest, [""]);
    assert.equal((Deno.statSync(log).mode ?? 0) & 0o777 & ~Deno.umask(), 0o640 & ~Deno.umask());
    assert.throws(
      () => appendToLog({ ...DEFAULT_GLOBALS, log: `${folder}/no/log` }, "env", "error", "x"),
      /^Error: cannot write the log ".*\/no\/log": no such file/,
    );
    assert.match(
      withLog({ ...DEFAULT_GLOBALS, log: `${folder}/no/log` }, "env", "it failed"),
      /^it failed\ncannot write the log/,
      "the failure itself is not lost",
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
