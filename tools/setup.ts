/**
 * `deno task setup`: makes sure that what the project needs of the distribution is installed. As root it installs what
 * is missing with apt; otherwise it says exactly what to do. When nothing is missing it does nothing.
 *
 * @module
 */

import { type Need, NEEDS, unmet, VIRTIOFSD } from "./needs.ts";
import { run, RunError, which } from "./process.ts";

/** Options of every `apt-get install`: nothing that a package merely recommends, and no questions. */
const INSTALL = ["install", "--yes", "--no-install-recommends"];

/** Another run of apt is waited for, and a download that breaks off is tried again. */
const PATIENCE = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];

/** No dialogue, and no service of the machine restarted because a library was upgraded. */
const APT_ENVIRONMENT = { DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_SUSPEND: "1" };

/** What the scripts of packages ask before they start a service; see invoke-rc.d(8). */
const POLICY = "/usr/sbin/policy-rc.d";

/** The command line that installs packages, as a user would type it. */
export function aptLine(packages: readonly string[]): string {
  return `apt-get update && apt-get ${INSTALL.join(" ")} ${packages.join(" ")}`;
}

/** What to tell where apt is not there to help. */
export function withoutApt(needs: readonly Need[]): string {
  const lines = needs.map(({ package: name, places }) => {
    const list = places.map((place) => typeof place === "string" ? place : place.join(" or "));
    return `  ${list.join(", ")} (Debian's package "${name}")`;
  });
  return `this machine has no apt-get; install these with what it has instead:\n${lines.join("\n")}`;
}

/**
 * The packages to install for needs.
 *
 * @param isKnown whether the distribution has a package of that name
 */
export async function packagesFor(
  needs: readonly Need[],
  isKnown: (name: string) => Promise<boolean>,
): Promise<string[]> {
  const names = needs.map((need) => need.package);
  const at = names.indexOf(VIRTIOFSD.newer);
  if (at >= 0 && !await isKnown(VIRTIOFSD.newer)) names[at] = VIRTIOFSD.older;
  return names;
}

/**
 * Does something while the scripts of packages may not start services, unless the machine has a policy of its own. The
 * file that says so takes itself back: it forbids only for as long as this process lives.
 */
export async function withoutServices<T>(work: () => Promise<T>, path: string = POLICY): Promise<T> {
  const forbids = `#!/bin/sh\n# written by kata-ts while it installs packages\n`;
  const known = await Deno.readTextFile(path).catch(() => undefined);
  if (known !== undefined && !known.startsWith(forbids)) return await work();
  await Deno.writeTextFile(path, `${forbids}kill -0 ${Deno.pid} 2>/dev/null && exit 101\nexit 0\n`);
  await Deno.chmod(path, 0o755);
  try {
    return await work();
  } finally {
    await Deno.remove(path);
  }
}

/** Installs what is missing, or says how to; returns the exit status. */
async function setUp(): Promise<number> {
  const missing = await unmet(NEEDS);
  if (missing.length === 0) {
    console.log("setup: everything needed is installed");
    return 0;
  }
  if (await which("apt-get") === undefined) return fail(withoutApt(missing));
  if (Deno.uid() !== 0) {
    const packages = await packagesFor(missing, isKnown);
    return fail(`packages are missing, and only root can install them:\n  ${aptLine(packages)}`);
  }
  try {
    await install(missing);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return fail(error.message);
  }
  const still = await unmet(missing);
  if (still.length === 0) return 0;
  return fail(`still missing after installing: ${still.map((need) => need.package).join(", ")}`);
}

async function install(needs: readonly Need[]): Promise<void> {
  await step("apt-get update", async () => {
    try {
      await apt(["update"]);
    } catch (error) {
      // one of several sources may be out of reach: whether that matters shows next
      console.log(`    ${error instanceof Error ? error.message : error}`);
    }
  });
  const packages = await packagesFor(needs, isKnown);
  await step(
    `installing with apt: ${packages.join(" ")}`,
    () => withoutServices(() => apt([...INSTALL, ...packages])),
  );
}

async function apt(args: readonly string[]): Promise<void> {
  await run(["apt-get", "--quiet", ...PATIENCE, ...args], { env: APT_ENVIRONMENT });
}

async function isKnown(name: string): Promise<boolean> {
  return /^ +Candidate: \d/m.test(await run(["apt-cache", "policy", name], { env: { LC_ALL: "C" } }));
}

/** Runs a step with a line before it and its time after it. */
async function step(title: string, work: () => Promise<void>): Promise<void> {
  console.log(`==> ${title}`);
  const started = performance.now();
  await work();
  console.log(`    ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

function fail(message: string): number {
  console.error(`setup: ${message}`);
  return 1;
}

if (import.meta.main) Deno.exit(await setUp());
