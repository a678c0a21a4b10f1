import assert from "node:assert/strict";
import { run } from "../tools/process.ts";
import { createSandbox } from "./create_sandbox.ts";
import { silentLog } from "./log/log.ts";
import { FakeHost, testConfig, testSpec } from "./testing/fake_host.ts";

/** What is full, and what is said then. */
const CASES = [
  ["state", "size=16k", /^cannot write the sandbox's state to ".*\/sbs\/s1\/persist\.json": No space left/],
  ["state", "nr_inodes=2", /^cannot make the sandbox's folder ".*\/sbs\/s1": No space left/],
  [
    "state",
    "nr_inodes=3",
    /^cannot write the sandbox's state to ".*\/sbs\/s1\/persist\.json": No space left/,
  ],
  ["vm", "nr_inodes=2", /^cannot make the sandbox's folder ".*\/vm\/s1": No space left/],
] as const;

for (const [which, options, message] of CASES) {
  Deno.test(`a full disk is named, and nothing is left on it: ${which}, ${options}`, async () => {
    await using host = new FakeHost();
    const { [which]: folder } = host.paths;
    await Deno.mkdir(folder);
    await run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]);
    try {
      await Deno.writeFile(`${folder}/fill`, new Uint8Array(16_384));
      const spec = testSpec();
      const create = () =>
        createSandbox({ id: "s1", spec, config: testConfig(), log: silentLog, paths: host.paths, host });
      // the second time as the first: it is not thought to be there already
      for (let time = 0; time < 2; time++) await assert.rejects(create(), { message });
      assert.deepEqual(host.left(), [`${folder}/fill`]);
      await Deno.remove(`${folder}/fill`);
      await run(["mount", "-o", "remount,size=1m,nr_inodes=100", folder]);
      await (await create())[Symbol.asyncDispose]();
    } finally {
      await run(["umount", "-l", folder]);
    }
  });
}
