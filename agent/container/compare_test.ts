/** The same specifications here and with crun: the containers must find the same when they look at themselves. */

import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { jsonText } from "../../oci/validate.ts";
import { Harness, specOf } from "./testing/harness.ts";
import { addPerl, parseReport, probeArgs, type Report } from "./testing/reporter.ts";
import { checkReport, REPORT_CASES, withCapabilities } from "./testing/report_cases.ts";

/** What is otherwise in every case, and why. */
const UNLIKE: readonly (readonly [fact: RegExp, why: string])[] = [
  [/^status SigIgn$/, "crun hands on what was ignored when it was started"],
  [/^dev \/dev\/core$/, "crun makes this link where there is no /proc/kcore, too"],
];

/** The least that a report has to be compared in. */
const MIN_FACTS = 50;

async function ofOurs(harness: Harness, spec: Spec): Promise<Report> {
  const { status, stdout, stderr } = await harness.run(spec);
  assert.deepEqual([status, stderr], [{ code: 0, signal: 0 }, ""]);
  return parseReport(stdout);
}

async function ofCrun(harness: Harness, spec: Spec): Promise<Report> {
  const id = `kata-report-${crypto.randomUUID()}`;
  // Older runtimes refuse a later version.
  Deno.writeTextFileSync(`${harness.folder}/config.json`, jsonText({ ...spec, ociVersion: "1.0.2" }));
  // A machine with cgroups of both versions is none that it supports: it sees version 2 alone.
  const script = 'umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && : | "$@"';
  const crun = ["crun", "--cgroup-manager=disabled", "run", "--bundle", harness.folder, id];
  const command = new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", script, "sh", ...crun],
    stdin: "null",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    clearEnv: true,
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  return parseReport(decoder.decode(stdout));
}

/** Numbers that say nothing by themselves, replaced by what they mean. */
function normalized(report: Report): Map<string, string> {
  const facts = new Map(report);
  for (const [name, value] of report) {
    const namespace = /^ns (\w+)$/.exec(name)?.[1];
    if (namespace) {
      const machines = Deno.readLinkSync(`/proc/self/ns/${namespace}`);
      facts.set(name, value === machines ? "the machine's" : "its own");
    }
  }
  return facts;
}

for (const one of REPORT_CASES.filter(({ onlyInGuest }) => onlyInGuest === undefined)) {
  Deno.test(`report: ${one.name}`, async () => {
    await using harness = new Harness();
    await addPerl(harness.rootfs);
    // Users of another namespace have to get to the root.
    Deno.chmodSync(harness.folder, 0o711);
    const spec = withCapabilities(specOf(harness.rootfs, probeArgs(...one.asks ?? [])));
    one.change(spec);
    const ours = normalized(await ofOurs(harness, spec));
    checkReport(ours, one);
    if (one.onlyHere !== undefined) return;
    const theirs = normalized(await ofCrun(harness, spec));
    const unlike = [...UNLIKE, ...one.unlike ?? []];
    const names = [...new Set([...ours.keys(), ...theirs.keys()])].filter((name) =>
      !unlike.some(([fact]) => fact.test(name))
    );
    assert.ok(names.length > MIN_FACTS, `only ${names.length} facts`);
    const differences = names.filter((name) => ours.get(name) !== theirs.get(name));
    assert.deepEqual(
      differences.map((name) => `${name}: ${ours.get(name)}`),
      differences.map((name) => `${name}: ${theirs.get(name)}`),
    );
  });
}
