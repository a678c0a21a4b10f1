/** A user at a terminal: `kata-runtime run --tty` on a real pseudo-terminal. */

import assert from "node:assert/strict";
import { closeFd } from "../../sys/fd.ts";
import { openPty, setWindowSize } from "../../sys/pty.ts";
import { signalNumber } from "../../sys/signals.ts";
import { spawn } from "../../sys/spawn.ts";
import { DIST } from "../../tools/paths.ts";
import { onHost } from "./kata_run.ts";
import { screen } from "./screen.ts";

Deno.test(
  "terminal: keys, window size, interrupt and exit code behave as at a local shell",
  onHost(async (rootfs) => {
    const { master, slave } = openPty();
    using screenEnd = master;
    setWindowSize(master.fd, { rows: 33, columns: 101 });
    const argv = [`${DIST}/kata`, "run", "--tty", "--rootfs", rootfs, "--", "sh"];
    await using child = await spawn({
      argv,
      fds: new Map([[0, slave], [1, slave], [2, slave]]),
      session: true,
    });
    closeFd(slave);
    const type = (text: string) => screenEnd.write(new TextEncoder().encode(text));

    await screen(master, /\/ # /);
    await type("stty size; tty\r");
    await screen(master, /33 101\r\n\/dev\/console\r\n/);

    setWindowSize(master.fd, { rows: 40, columns: 90 });
    child.signal(signalNumber("SIGWINCH"));
    // the new size needs a moment to reach the guest, and the shell has nothing to tell of it
    await type("until [ \"$(stty size)\" = '40 90' ]; do sleep 0.1; done; echo re''sized\r");
    await screen(master, /resized\r\n/);

    // a key that is typed while the shell still edits its line would interrupt nothing
    await type("echo sle''eping; sleep 600\r");
    await screen(master, /sleeping\r\n/);
    await type("\x03");
    await screen(master, /\/ # /);
    await type("exit 9\r");
    assert.deepEqual(await child.wait(), { code: 9, signal: 0 });
  }),
);
