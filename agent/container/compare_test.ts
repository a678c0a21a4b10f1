/** The same specifications here and with crun: the containers must find the same when they look at themselves. */

import assert from "node:assert/strict";
import type { Spec } from "../../oci/spec.ts";
import { jsonText } from "../../oci/validate.ts";
import { Harness, specOf } from "./testing/harness.ts";
import { addPerl, parseReport, probeArgs, type Report } from "./testing/reporter.ts";
import { checkReport, type ReportCase, withCapabilities } from "./testing/report/case.ts";
import { REPORT_CASES } from "./testing/report/cases.ts";

type Unlike = readonly [fact: RegExp, why: string];

/** What is otherwise in every case, and why. */
const UNLIKE: readonly Unlike[] = [
  [/^status SigIgn$/, "crun hands on what was ignored when it was started"],
  [/^dev \/dev\/core$/, "crun makes this link where there is no /proc/kcore, too"],
];

/** The same for processes that are executed. */
const UNLIKE_EXEC: readonly Unlike[] = [
  [/^(pid|status NSpid)$/, "a matter of how many processes there were before"],
  [
    /^dev \/dev\/null$/,
    "crun gives the container's null device, which is its streams, to the user of the first process",
  ],
  [/^oom_score_adj$/, "crun 1.8 does not look at the process's own"],
];

/** The least that a report has to be compared in. */
const MIN_FACTS = 50;

async function ofOurs(harness: Harness, spec: Spec): Promise<Report> {
  const { status, stdout, stderr } = await harness.run(spec);
  assert.deepEqual([status, stderr], [{ code: 0, signal: 0 }, ""]);
  return parseReport(stdout);
}

/** A process that is executed in a container that does nothing. */
async function ofOurExec(harness: Harness, spec: Spec): Promise<Report> {
  await using container = await harness.create(idle(spec));
  await container.container.start();
  const { status, stdout, stderr } = await container.exec(spec.process);
  assert.deepEqual([status, stderr], [{ code: 0, signal: 0 }, ""]);
  return parseReport(stdout);
}

function idle(spec: Spec): Spec {
  return { ...spec, process: { ...spec.process, args: ["/bin/busybox", "sleep", "1000"] } };
}

const CRUN = "crun --cgroup-manager=disabled";

function ofCrun(harness: Harness, spec: Spec): Promise<Report> {
  return withCrun(harness, spec, `: | ${CRUN} run --bundle "$1" "$2"`);
}

function ofCrunExec(harness: Harness, spec: Spec): Promise<Report> {
  Deno.writeTextFileSync(`${harness.folder}/process.json`, jsonText(spec.process));
  const start = `${CRUN} run --detach --bundle "$1" "$2" > /dev/null`;
  const end = `code=$?; ${CRUN} delete --force "$2"; exit $code`;
  return withCrun(
    harness,
    idle(spec),
    `${start} && : | ${CRUN} exec --process "$1/process.json" "$2"; ${end}`,
  );
}

/** @param script has the bundle and the container's id as its arguments */
async function withCrun(harness: Harness, spec: Spec, script: string): Promise<Report> {
  const id = `kata-report-${crypto.randomUUID()}`;
  // Older runtimes refuse a later version.
  Deno.writeTextFileSync(`${harness.folder}/config.json`, jsonText({ ...spec, ociVersion: "1.0.2" }));
  // A machine with cgroups of both versions is none that it supports: it sees version 2 alone.
  const cgroups = "umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup";
  const command = new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", `${cgroups} && ${script}`, "sh", harness.folder, id],
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

/** A machine's folder for one case, and the specification whose process reports. */
async function prepare(harness: Harness, one: ReportCase): Promise<Spec> {
  await addPerl(harness.rootfs);
  // Users of another namespace have to get to the root.
  Deno.chmodSync(harness.folder, 0o711);
  const spec = withCapabilities(specOf(harness.rootfs, probeArgs(...one.asks ?? [])));
  one.change(spec);
  return spec;
}

/** Fails if anything is different that is not in a table with the reason. */
function assertSame(
  ours: ReadonlyMap<string, string>,
  theirs: ReadonlyMap<string, string>,
  unlike: readonly Unlike[],
): void {
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].filter((name) =>
    !unlike.some(([fact]) => fact.test(name))
  );
  assert.ok(names.length > MIN_FACTS, `only ${names.length} facts`);
  const differences = names.filter((name) => ours.get(name) !== theirs.get(name));
  assert.deepEqual(
    differences.map((name) => `${name}: ${ours.get(name)}`),
    differences.map((name) => `${name}: ${theirs.get(name)}`),
  );
}

for (const one of REPORT_CASES) {
  Deno.test(`report: ${one.name}`, async () => {
    await using harness = new Harness();
    const spec = await prepare(harness, one);
    const ours = normalized(await ofOurs(harness, spec));
    checkReport(ours, one);
    if (one.onlyHere !== undefined) return;
    assertSame(ours, normalized(await ofCrun(harness, spec)), [...UNLIKE, ...one.unlike ?? []]);
  });

  Deno.test(`report of an executed process: ${one.name}`, async () => {
    await using harness = new Harness();
    const spec = await prepare(harness, one);
    const ours = normalized(await ofOurExec(harness, spec));
    if (one.onlyHere !== undefined) return;
    const unlike = [...UNLIKE, ...UNLIKE_EXEC, ...one.unlike ?? []];
    assertSame(ours, normalized(await ofCrunExec(harness, spec)), unlike);
  });
}
