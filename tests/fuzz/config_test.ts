import fc from "fast-check";
import assert from "node:assert/strict";
import { ConfigError, Report } from "../../config/error.ts";
import { type Examined, examineLayers, loadConfig } from "../../config/load.ts";
import { layerOf } from "../../config/source.ts";
import { silentLog } from "../../sandbox/log/log.ts";
import { planMachine } from "../../sandbox/machine/plan.ts";
import { vmConfig } from "../../sandbox/machine/vm_config.ts";
import { testSpec } from "../../sandbox/testing/fake_host.ts";
import { buildCommandLine } from "../../vm/qemu/command_line.ts";
import { annotations, brokenFile, likelyFile, noise } from "./config_inputs.ts";

/** The same inputs every time; another number finds other mistakes. */
const SEED = 20_260_731;

/** Inputs of each kind; together more than a hundred thousand. */
const RUNS = { likely: 20_000, broken: 30_000, noise: 20_000, annotations: 30_000, files: 500 };

const MAIN = "/etc/kata-containers/configuration.toml";

const ENABLED = `[hypervisor.qemu]
path = "/bin/sh"
kernel = "/bin/sh"
initrd = "/etc/passwd"
shared_fs = "virtio-9p"
enable_annotations = [".*"]
valid_hypervisor_paths = ["/bin/*"]
`;

function examine(text: string, pod: Record<string, string> = {}, dropIn?: string): Promise<Examined> {
  const report = new Report();
  const layers = [layerOf(MAIN, text, false, report)];
  if (dropIn !== undefined) layers.push(layerOf("/etc/kata-containers/config.d/a", dropIn, true, report));
  return examineLayers({ path: MAIN, layers, annotations: pod, searchPath: "/usr/bin", report });
}

/** Every mistake is one line that says something; without one there is a machine. */
function checkExamined({ report, settings }: Examined): void {
  for (const { text, problem } of report.mistakes) checkSentence(text, problem);
  if (report.errors.length > 0) return;
  const config = settings.config();
  try {
    const machine = vmConfig({
      id: "s",
      dir: "/run/vc/vm/s",
      plan: planMachine(config, testSpec()),
      spec: testSpec(),
      config,
      share: "/s",
      log: silentLog,
    });
    buildCommandLine({
      config: machine,
      arch: "x86_64",
      accelerator: "tcg",
      channel: { kind: "vsock", cid: 3 },
      uuid: "0",
    });
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.match(
      error.message,
      /^the kernel command line must have at most 2047 bytes|line end or NUL in it$/,
    );
  }
}

function checkSentence(text: string, problem: string): void {
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\0-\x1f\x7f]|= undefined|"undefined"|\[object /, JSON.stringify(text));
  assert.ok(problem.length > 3 && text.includes(problem) && text.length < 12_000, text);
}

async function fuzz<T>(
  input: fc.Arbitrary<T>,
  runs: number,
  check: (value: T) => Promise<Examined>,
): Promise<void> {
  const seen = { good: 0, bad: 0 };
  await fc.assert(
    fc.asyncProperty(input, async (value) => {
      const examined = await check(value);
      seen[examined.report.errors.length === 0 ? "good" : "bad"]++;
      checkExamined(examined);
    }),
    { seed: SEED, numRuns: runs, endOnFailure: true },
  );
  assert.ok(seen.bad > runs / 100, "there are mistakes to be found");
}

Deno.test("files that are right for the most part end in a machine, or in clean mistakes", () =>
  fuzz(likelyFile, RUNS.likely, (text) => examine(text)));

Deno.test("files with slips end in clean mistakes, in the main file and in a drop-in", () =>
  fuzz(
    fc.tuple(brokenFile, fc.boolean()),
    RUNS.broken,
    ([text, asDropIn]) => asDropIn ? examine(ENABLED, {}, text) : examine(text),
  ));

Deno.test("noise ends in clean mistakes", () => fuzz(noise, RUNS.noise, (text) => examine(text)));

Deno.test("annotations end in a machine, or in clean mistakes", () =>
  fuzz(annotations, RUNS.annotations, (pod) => examine(ENABLED, pod)));

Deno.test("files on a disk end in a configuration, or in one clean sentence", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/configuration.toml`;
    await fc.assert(
      fc.asyncProperty(fc.oneof(likelyFile, brokenFile, noise), annotations, async (text, pod) => {
        await Deno.writeTextFile(file, text);
        try {
          await loadConfig({ explicit: file, env: {}, annotations: pod });
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
          const [first] = error.mistakes.filter(({ severity }) => severity === "error");
          checkSentence(error.message, first?.problem ?? "");
        }
      }),
      { seed: SEED, numRuns: RUNS.files },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
