import { compare, type Subject } from "./measure.ts";
import type { Row } from "./table.ts";

/** Where the executable under test and its role links are. */
export interface Built {
  /** folder with `kata` and the links `kata-runtime`, `containerd-shim-kata-v2` */
  readonly bin: string;
}

const PAIRS = 15;

/** An empty script run by the runtime that ours is made of: the floor of every start. */
export async function emptyScript(folder: string): Promise<Subject> {
  const script = `${folder}/empty.js`;
  await Deno.writeTextFile(script, "");
  return { argv: [Deno.execPath(), "run", "-A", "--no-config", "--no-lock", script] };
}

/** Rows of design.md: `--version` and `-info` against an empty script, wall time and peak memory. */
export async function startupRows(built: Built, empty: Subject): Promise<Row[]> {
  const subjects: [string, Subject][] = [
    ["kata-runtime --version", { argv: [`${built.bin}/kata-runtime`, "--version"] }],
    ["containerd-shim-kata-v2 -info", { argv: [`${built.bin}/containerd-shim-kata-v2`, "-info"] }],
  ];
  const rows: Row[] = [];
  for (const [name, subject] of subjects) {
    const result = await compare(subject, empty, PAIRS);
    rows.push({
      what: name,
      value: result.wallMs,
      reference: result.referenceWallMs,
      unit: "ms",
      figure: result.wallRatio,
      budget: 1.2,
      referenceName: "empty script",
    }, {
      what: `${name}, peak memory`,
      value: result.peakKiB / 1024,
      reference: result.referencePeakKiB / 1024,
      unit: "MiB",
      figure: result.peakRatio,
      budget: 1.2,
      referenceName: "empty script",
    });
  }
  return rows;
}

/**
 * Rows for what monitoring runs again and again: `check` against an empty script, and `env`, which asks the monitor for
 * its version, against an empty script that does so.
 *
 * @param configuration what `env` describes
 */
export async function statusRows(built: Built, empty: Subject, configuration: string): Promise<Row[]> {
  const program = `${built.bin}/kata-runtime`;
  const monitor = `qemu-system-${Deno.build.arch} --version`;
  const script = empty.argv.map((word) => `'${word}'`).join(" ");
  const asking: Subject = { argv: ["sh", "-c", `${script} && exec ${monitor}`] };
  const subjects: [string, Subject, Subject, string][] = [
    ["kata-runtime check", { argv: [program, "check", "--no-network-checks"] }, empty, "empty script"],
    [
      "kata-runtime env",
      { argv: [program, "--config", configuration, "env"] },
      asking,
      "empty script + the monitor's --version",
    ],
  ];
  const rows: Row[] = [];
  for (const [what, subject, reference, referenceName] of subjects) {
    const { wallMs, referenceWallMs, wallRatio } = await compare(subject, reference, PAIRS);
    rows.push({
      what,
      value: wallMs,
      reference: referenceWallMs,
      unit: "ms",
      figure: wallRatio,
      budget: 2,
      referenceName,
    });
  }
  return rows;
}

/** Row of design.md: shim `start` until it printed its address. */
export async function shimStartRow(built: Built, empty: Subject, folder: string): Promise<Row> {
  const bundle = `${folder}/bundle`;
  await Deno.mkdir(bundle, { recursive: true });
  await Deno.writeTextFile(
    `${bundle}/config.json`,
    JSON.stringify({ ociVersion: "1.0.2", process: { args: ["true"], cwd: "/" }, root: { path: "rootfs" } }),
  );
  const start: Subject = {
    argv: [
      `${built.bin}/containerd-shim-kata-v2`,
      ...["-namespace", "bench", "-address", `${folder}/containerd.sock`, "-publish-binary", "/bin/true"],
      ...["-id", "bench-start", "start"],
    ],
    cwd: bundle,
    after: () => stopShim(bundle),
  };
  const result = await compare(start, empty, PAIRS);
  return {
    what: "shim start until its address is printed",
    value: result.wallMs,
    reference: result.referenceWallMs,
    unit: "ms",
    figure: result.wallRatio,
    budget: 3,
    referenceName: "empty script",
  };
}

/** Ends the daemon that `start` left behind, by the pid it wrote down, and waits until it is gone. */
async function stopShim(bundle: string): Promise<void> {
  const pid = Number(await Deno.readTextFile(`${bundle}/shim.pid`));
  Deno.kill(pid, "SIGTERM");
  const deadline = performance.now() + 10_000;
  while (await exists(`/proc/${pid}`)) {
    if (performance.now() > deadline) throw new Error(`shim ${pid} still runs 10 s after SIGTERM`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
