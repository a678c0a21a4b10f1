/**
 * `kata-runtime check`: can this machine run virtual machines, and is there a newer release?
 *
 * @module
 */

import { DEFAULT_FILES, FILE_NAME } from "../../../config/files.ts";
import { qemuPath } from "../../../config/host.ts";
import { dirname } from "../../../sys/path.ts";
import { VERSION } from "../../../version.ts";
import type { Globals } from "../globals.ts";
import { commonFields, type Level, terminalLine, textLine } from "../log_line.ts";
import { failure } from "../failure.ts";
import { print, printError } from "../output.ts";
import { checkCapability, type Finding } from "./capability.ts";
import type { CheckFlags } from "./command.ts";
import { type CheckHost, thisHost } from "./host.ts";
import { acceleratorFinding, checkKvm } from "./kvm.ts";
import { installCommand } from "./fix.ts";

/** What a check reports to. */
export interface CheckOutput {
  log(finding: Finding): void;
  print(text: string): void;
}

/** What else a check depends on. */
export interface CheckOptions {
  readonly host: CheckHost;
  readonly output: CheckOutput;
  /** `KATA_CHECK_NO_NETWORK` and `KATA_RELEASE_URL` are used */
  readonly env: (name: string) => string | undefined;
  /** the program that runs virtual machines */
  readonly hypervisor: string;
}

const NOT_CAPABLE = "ERROR: System is not capable of running Kata Containers";

/** Checks this machine. @returns the exit code */
export async function check(flags: CheckFlags, globals: Globals): Promise<number> {
  const output: CheckOutput = { log: logger(flags.verbose), print };
  const hypervisor = await hypervisorPath(globals, output);
  try {
    await runCheck(flags, { host: thisHost(), output, env: (name) => Deno.env.get(name), hypervisor });
    return 0;
  } catch (error) {
    printError(`${failure(error)}\n`);
    return 1;
  }
}

/**
 * The whole sequence.
 *
 * @throws {Error} the sentence that the command ends with
 */
export async function runCheck(flags: CheckFlags, options: CheckOptions): Promise<void> {
  const { host, output } = options;
  const releasesOnly = flags.checkVersionOnly || flags.onlyListReleases;
  if (!flags.noNetworkChecks && !options.env("KATA_CHECK_NO_NETWORK")) {
    await checkNetwork(flags, options, releasesOnly);
  }
  if (releasesOnly) return;
  const { strict } = flags;
  const { findings, capable } = await checkCapability(host, { strict });
  for (const finding of findings) output.log(finding);
  const hasProgram = checkProgram(options);
  if (!capable || !hasProgram) throw new Error(NOT_CAPABLE);
  output.print("System is capable of running Kata Containers\n");
  const report = host.uid === 0 ? checkKvm(host, { strict }) : undefined;
  for (const finding of report?.findings ?? []) output.log(finding);
  if (report?.error !== undefined) throw new Error(report.error);
  output.log(acceleratorFinding(host, report?.kvm));
  if (host.uid === 0) output.print("System can currently create Kata Containers\n");
}

/** An unavailable list is an error only if nothing else was asked for. */
async function checkNetwork(flags: CheckFlags, options: CheckOptions, isAll: boolean): Promise<void> {
  const { host, output } = options;
  if (host.uid === 0) {
    const message = "Not running network checks as super user";
    output.log({ level: "warning", message, fields: {} });
    return;
  }
  const { compareLine, fetchReleases, listLines, releaseUrl } = await import("./releases.ts");
  const url = releaseUrl(VERSION, options.env("KATA_RELEASE_URL"));
  output.log({ level: "info", message: "Looking for releases", fields: { url } });
  try {
    const { releases, warning } = await fetchReleases(url, { preReleases: flags.includeAllReleases });
    if (warning !== undefined) output.log({ level: "warning", message: warning, fields: { url } });
    output.print(flags.onlyListReleases ? listLines(releases) : `${compareLine(VERSION, releases)}\n`);
  } catch (error) {
    if (isAll) throw error;
    const message = `cannot look for releases: ${error instanceof Error ? error.message : error}`;
    output.log({
      level: "warning",
      message,
      fields: { fix: "kata-runtime check --no-network-checks" },
    });
  }
}

function checkProgram({ host, output, hypervisor }: CheckOptions): boolean {
  const fields = { type: "program", name: hypervisor, description: "Virtual machine monitor" };
  if (host.exists(hypervisor)) {
    output.log({ level: "debug", message: "program found", fields });
    return true;
  }
  output.log({
    level: "error",
    message: "program not found",
    fields: { ...fields, fix: installCommand(host, "qemu") },
  });
  return false;
}

/** The one that the configuration names, or where distributions have it. */
async function hypervisorPath(globals: Globals, output: CheckOutput): Promise<string> {
  const explicit = globals.config ?? Deno.env.get("KATA_CONF_FILE");
  const beside = `${dirname(Deno.execPath())}/${FILE_NAME}`;
  const { exists } = thisHost();
  if (!explicit && ![...DEFAULT_FILES, beside].some(exists)) return qemuPath();
  const { loadConfig } = await import("../../../config/load.ts");
  try {
    const { config } = await loadConfig(explicit ? { explicit } : {});
    return config.hypervisor.path;
  } catch (error) {
    const message = `the configuration cannot be used: ${error instanceof Error ? error.message : error}`;
    output.log({ level: "warning", message, fields: { fix: "kata-runtime config check" } });
    return qemuPath();
  }
}

const SHOWN: Readonly<Record<"usual" | "verbose", readonly Level[]>> = {
  usual: ["warning", "error", "fatal"],
  verbose: ["info", "warning", "error", "fatal"],
};

/** Lines on standard error, for people or for programs. */
function logger(verbose: boolean): (finding: Finding) => void {
  const shown = SHOWN[verbose ? "verbose" : "usual"];
  const started = performance.now();
  const isTerminal = Deno.stderr.isTerminal();
  const common = commonFields();
  return ({ level, message, fields }) => {
    if (!shown.includes(level)) return;
    const event = { time: new Date(), level, message, fields: { ...common, ...fields } };
    printError(isTerminal ? terminalLine(event, (performance.now() - started) / 1000) : textLine(event));
  };
}
