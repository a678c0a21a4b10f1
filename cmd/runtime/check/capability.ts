/**
 * Whether a machine can run virtual machines: the processor, the kernel's modules and their parameters.
 *
 * @module
 */

import type { Level } from "../log_line.ts";
import type { CheckHost } from "./host.ts";
import { fixFor } from "./fix.ts";
import { type ModuleParameter, type Platform, PLATFORMS, type Requirement } from "./table.ts";

/** A line of the report. */
export interface Finding {
  readonly level: Level;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** All lines, and whether virtual machines can be run. */
export interface Capability {
  readonly findings: readonly Finding[];
  readonly capable: boolean;
}

/** How to judge. */
export interface Judgement {
  /** whether everything must be there that running in hardware needs */
  readonly strict: boolean;
}

/**
 * Looks for everything, even after a failure. What can be done without, in software, is an error only for a strict
 * judge, and a warning for others.
 */
export async function checkCapability(host: CheckHost, { strict }: Judgement): Promise<Capability> {
  const cpuinfo = host.read("/proc/cpuinfo") ?? "";
  const cpu = firstProcessor(cpuinfo);
  if (cpu === "") return failure("Cannot determine CPU details");
  const flags = /^flags\s*:(.*)$/m.exec(cpu)?.[1]?.trim().split(/\s+/);
  if (host.arch === "amd64" && flags === undefined) return failure("Cannot find CPU flags");
  const findings: Finding[] = [];
  const platform = platformOf(host, cpuinfo);
  // "Unknow" is how users know the message
  if (platform === undefined) findings.push(problem(strict, "Unknow CPU Type", {}));
  const loading = await loadModules(host, platform?.requirements ?? []);
  for (const requirement of platform?.requirements ?? []) {
    const isThere = requirement.type === "attribute"
      ? new RegExp(`\\b${requirement.name}\\b`).test(cpu)
      : requirement.type === "flag"
      ? flags?.includes(requirement.name) ?? false
      : undefined;
    if (isThere === undefined) findings.push(...checkModule(host, requirement, strict, flags ?? [], loading));
    else findings.push(propertyFinding(host, requirement, isThere, strict));
  }
  return { findings, capable: findings.every(({ level }) => level !== "error") };
}

function failure(message: string): Capability {
  return { findings: [{ level: "error", message, fields: {} }], capable: false };
}

function platformOf(host: CheckHost, cpuinfo: string): Platform | undefined {
  return PLATFORMS.find(({ arch, vendor }) =>
    arch === host.arch && (vendor === undefined || cpuinfo.includes(vendor))
  );
}

/** The first processor's block; empty: there is none. */
export function firstProcessor(cpuinfo: string): string {
  return cpuinfo.split(/\n\s*\n/).find((block) => block.trim() !== "")?.trim() ?? "";
}

function problem(isError: boolean, message: string, fields: Finding["fields"]): Finding {
  return { level: isError ? "error" : "warning", message, fields };
}

function propertyFinding(
  host: CheckHost,
  requirement: Requirement,
  isThere: boolean,
  strict: boolean,
): Finding {
  const fields = fieldsOf(requirement);
  if (isThere) return { level: "info", message: "CPU property found", fields };
  return problem(strict || requirement.essential === true, "CPU property not found", {
    ...fields,
    ...fixField(fixFor(host, requirement)),
  });
}

function fieldsOf({ description, name, type }: Requirement): Record<string, string> {
  return { description, name, type };
}

function fixField(fix: string | undefined): Record<string, string> {
  return fix === undefined ? {} : { fix };
}

function isModuleThere(host: CheckHost, { name, device }: Requirement): boolean {
  return host.exists(`/sys/module/${name}`) || device !== undefined && host.exists(device);
}

/** As root. @returns what became of each module that was not there: why it could not be loaded, or undefined */
async function loadModules(
  host: CheckHost,
  requirements: readonly Requirement[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const missing = requirements.filter((one) => one.type === "module" && !isModuleThere(host, one));
  if (host.uid !== 0 || missing.length === 0) return new Map();
  const names = missing.map(({ name }) => name);
  const errors = await host.modprobe(names);
  return new Map(names.map((name) => [name, errors.get(name)]));
}

function checkModule(
  host: CheckHost,
  module: Requirement,
  strict: boolean,
  flags: readonly string[],
  loading: ReadonlyMap<string, string | undefined>,
): Finding[] {
  const isError = strict && !module.optional;
  const findings: Finding[] = [];
  let loaded = isModuleThere(host, module);
  if (!loaded && host.uid !== 0) {
    findings.push(problem(
      isError,
      "Module is not loaded and it can not be inserted. Please consider running with sudo or as root",
      { module: module.name },
    ));
  } else if (!loaded) {
    const error = loading.get(module.name);
    loaded = error === undefined;
    if (error !== undefined) {
      const [first = "", ...output] = error.split("\n");
      const fields = { module: module.name, error: first, output: output.join("\n") };
      findings.push({ level: "warning", message: "modprobe insert module failed", fields });
    }
  }
  if (!loaded) {
    const fields = { ...fieldsOf(module), ...fixField(fixFor(host, module)) };
    findings.push(problem(isError, `kernel property ${module.name} not found`, fields));
    return findings;
  }
  findings.push({ level: "info", message: "kernel property found", fields: fieldsOf(module) });
  for (const parameter of module.parameters ?? []) {
    const value = host.read(`/sys/module/${module.name}/parameters/${parameter.name}`)?.trim();
    if (value !== undefined) findings.push(parameterFinding(module, parameter, value, strict, flags));
  }
  return findings;
}

function parameterFinding(
  module: Requirement,
  { name, expected, warns }: ModuleParameter,
  value: string,
  strict: boolean,
  flags: readonly string[],
): Finding {
  const fields = { ...fieldsOf(module), parameter: name, value };
  // booleans are shown as Y and N by some modules, as 1 and 0 by others
  const plain = (text: string) => text.replace(/^Y$/i, "1").replace(/^N$/i, "0");
  if (plain(value) === plain(expected)) {
    return { level: "info", message: "Kernel property value correct", fields };
  }
  const onlyWarns = warns === "always" || flags.includes("hypervisor");
  const fix =
    `echo "options ${module.name} ${name}=${expected}" | sudo tee /etc/modprobe.d/kata.conf && sudo modprobe -r ${module.name} && sudo modprobe ${module.name}`;
  return problem(strict && !onlyWarns, "kernel module parameter has unexpected value", {
    ...fields,
    expected,
    fix,
  });
}
