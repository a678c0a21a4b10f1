import assert from "node:assert/strict";
import { formatLine } from "../../sandbox/log/log_line.ts";
import { AT, mknodAt, O, openFd, readFd, S } from "../../sys/fd.ts";
import { closeFd } from "../../sys/fd.ts";
import { FifoLog } from "./log_fifo.ts";

const time = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678));

Deno.test("a line has logrus' text form", () => {
  assert.equal(
    formatLine(time, "warning", 'it said "no"\n', { sandbox: "s1", source: "a b", none: undefined, n: 7 }),
    'time="2026-01-02T03:04:05.678Z" level=warning msg="it said \\"no\\"\\n" sandbox=s1 source="a b" n=7\n',
  );
});

Deno.test("lines go to the reader; while there is none they are lost, and nothing waits", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/log`;
    const log = new FifoLog(path, false);
    log.write("info", "no FIFO yet");
    mknodAt(AT.FDCWD, path, S.IFIFO | 0o600);
    const withReader = new FifoLog(path, true, { sandbox: "s1" });
    const reader = openFd(path, O.RDONLY | O.NONBLOCK);
    const read = () => {
      const buffer = new Uint8Array(8192);
      return new TextDecoder().decode(buffer.subarray(0, readFd(reader, buffer)));
    };
    withReader.write("debug", "one");
    assert.match(read(), /level=debug msg="one" sandbox=s1\n$/);
    withReader.write("info", "x".repeat(10_000));
    const long = read();
    assert.equal(new TextEncoder().encode(long).length, 4096);
    assert(long.endsWith('…"\n'));
    // a full pipe loses lines, and says nothing
    for (let line = 0; line < 100; line++) withReader.write("info", "y".repeat(4000));
    closeFd(reader);
    withReader.write("info", "nobody reads this");
    withReader.write("info", "nor this");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("debug lines are for those who asked for them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/log`;
    mknodAt(AT.FDCWD, path, S.IFIFO | 0o600);
    const reader = openFd(path, O.RDONLY | O.NONBLOCK);
    const log = new FifoLog(path, false);
    log.write("debug", "hidden");
    log.write("info", "opens the FIFO");
    log.enableDebug();
    log.write("debug", "shown");
    const buffer = new Uint8Array(8192);
    const text = new TextDecoder().decode(buffer.subarray(0, readFd(reader, buffer)));
    assert(!text.includes("hidden"));
    assert(text.includes('level=debug msg="shown"'));
    closeFd(reader);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
