import assert from "node:assert/strict";
import { createLogger, formatLogLine } from "./log.ts";

Deno.test("a line of the log tells level, message and fields", () => {
  const line = formatLogLine("info", "container created", { id: 'a"b', pid: 7, none: undefined, ok: true });
  assert.equal(line, 'kata-agent info: container created id="a\\"b" pid=7 ok=true');
});

Deno.test("what a container wrote cannot make a line of its own or move the cursor", () => {
  const line = formatLogLine("warn", "bad\nkata-agent info: forged\u001b[2J\u007f", { text: "a\nb" });
  assert.equal(line, 'kata-agent warn: bad\\u000akata-agent info: forged\\u001b[2J\\u007f text="a\\nb"');
});

Deno.test("messages below the level are not written", () => {
  const lines: string[] = [];
  const log = createLogger("warn", (line) => lines.push(line));
  log.debug("one");
  log.info("two");
  log.warn("three");
  log.error("four");
  assert.deepEqual(lines, ["kata-agent warn: three", "kata-agent error: four"]);
  assert.equal(log.enabled("info"), false);
  assert.equal(log.enabled("critical"), true);
});
