/**
 * Docker: a runtime in daemon.json, where Docker is new enough to start a containerd shim.
 *
 * @module
 */

import { type Machine, type Registration, RUNTIME_TYPE, versionIn } from "./registration.ts";

const FILE = "/etc/docker/daemon.json";

/** Older daemons ignore `runtimeType`, and would run containers without a virtual machine in silence. */
const FIRST_WITH_SHIMS = 23;

const ENGINE = "Docker";

/** What to do about Docker. */
export async function registerDocker(machine: Machine): Promise<Registration | undefined> {
  const program = machine.program("dockerd");
  if (program === undefined) return undefined;
  const version = versionIn(await machine.version(program));
  if (version === undefined) {
    return { engine: ENGINE, notes: [`not registered: ${program} does not report its version`] };
  }
  if (version.major < FIRST_WITH_SHIMS) {
    const notes = [
      `not registered: Docker ${version.text} cannot start containerd shims, which needs ${FIRST_WITH_SHIMS}.0 or newer`,
    ];
    return { engine: ENGINE, notes };
  }
  const text = machine.read(FILE);
  const document = parseObject(text ?? "{}");
  if (document === undefined) {
    return { engine: ENGINE, notes: [`not registered: ${FILE} is no JSON object`] };
  }
  const runtimes = document.runtimes ?? {};
  if (typeof runtimes !== "object" || runtimes === null || Array.isArray(runtimes)) {
    return { engine: ENGINE, notes: [`not registered: "runtimes" in ${FILE} is no object`] };
  }
  if ("kata" in runtimes && !isOurs(runtimes.kata)) {
    return { engine: ENGINE, notes: [`${FILE} has a runtime "kata" already, which is left as it is`] };
  }
  const changed = { ...document, runtimes: { ...runtimes, kata: { runtimeType: RUNTIME_TYPE } } };
  return {
    engine: ENGINE,
    change: { kind: "edit", path: FILE, form: "json", text: print(changed, text) },
    notes: ["restart Docker, then: docker run --runtime kata …"],
  };
}

/** daemon.json without our runtime. @returns undefined: it is not there, or not as it was put there */
export function withoutDockerRuntime(text: string): string | undefined {
  const document = parseObject(text);
  const runtimes = document?.runtimes;
  if (document === undefined || typeof runtimes !== "object" || runtimes === null) return undefined;
  const { kata, ...others } = runtimes as Record<string, unknown>;
  if (!isOurs(kata)) return undefined;
  const { runtimes: _, ...rest } = document;
  return print(Object.keys(others).length === 0 ? rest : { ...document, runtimes: others }, text);
}

function isOurs(runtime: unknown): boolean {
  return JSON.stringify(runtime) === JSON.stringify({ runtimeType: RUNTIME_TYPE });
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text.trim() === "" ? "{}" : text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

/** In the indentation that the file had. */
function print(document: Record<string, unknown>, like: string | undefined): string {
  const indent = /^\{\s*\n([ \t]+)"/.exec(like ?? "")?.[1] ?? "  ";
  return `${JSON.stringify(document, undefined, indent)}\n`;
}
