/**
 * containerd: `ctr` and others find the shim by its name; Kubernetes asks for a runtime that is in the configuration.
 *
 * @module
 */

import { parse } from "smol-toml";
import { addBlock, takeBlock } from "./blocks.ts";
import { type Machine, type Registration, RUNTIME_TYPE, versionIn } from "./registration.ts";

const MAIN = "/etc/containerd/config.toml";
const DROP_IN = "/etc/containerd/conf.d/50-kata.toml";

/** Name of the plugin that has the runtimes, by the version of the configuration. */
const PLUGINS: Readonly<Record<number, string>> = {
  1: "cri",
  2: '"io.containerd.grpc.v1.cri"',
  3: '"io.containerd.cri.v1.runtime"',
};

/** Newest version of the configuration that is known. */
const NEWEST = 3;

const RESTART =
  'for Kubernetes, restart containerd and make a RuntimeClass with the handler "kata"; ctr works at once';

/** What to do about containerd. */
export async function registerContainerd(machine: Machine): Promise<Registration | undefined> {
  const program = machine.program("containerd");
  const text = machine.read(MAIN);
  if (program === undefined && text === undefined) return undefined;
  const engine = "containerd";
  const own = text === undefined ? undefined : takeBlock(text)?.rest ?? text;
  if (own === undefined || text !== own && own === "") {
    const major = versionIn(program && await machine.version(program))?.major ?? 1;
    const version = major >= 2 ? 3 : 2;
    return {
      engine,
      change: {
        kind: "edit",
        path: MAIN,
        form: "block",
        text: addBlock("", `version = ${version}\n${runtimeTable(version)}`),
      },
      notes: [RESTART],
    };
  }
  let tables: Readonly<Record<string, unknown>>;
  try {
    tables = parse(own);
  } catch (error) {
    return { engine, notes: [`not registered: ${MAIN} is no valid TOML: ${firstLine(error)}`] };
  }
  const version = Number(tables.version ?? 1);
  if (!(version in PLUGINS)) {
    return { engine, notes: [`not registered: ${MAIN} has version ${version}, newer than ${NEWEST}`] };
  }
  if (isRegistered(tables, version)) {
    return { engine, notes: [`${MAIN} has a runtime "kata" already, which is left as it is`] };
  }
  // before version 3 an imported file replaces the whole plugin, with all that its owner has set
  if (version === NEWEST && importsDropIns(tables)) {
    return {
      engine,
      change: { kind: "file", path: DROP_IN, text: `version = ${NEWEST}\n\n${runtimeTable(version)}` },
      notes: [RESTART],
    };
  }
  const changed = addBlock(own, runtimeTable(version));
  try {
    parse(changed);
  } catch {
    const notes = [`not registered: ${MAIN} sets its runtimes in a way that no table can be added to`];
    return { engine, notes };
  }
  return { engine, change: { kind: "edit", path: MAIN, form: "block", text: changed }, notes: [RESTART] };
}

function runtimeTable(version: number): string {
  const plugin = PLUGINS[version];
  return `[plugins.${plugin}.containerd.runtimes.kata]
  runtime_type = "${RUNTIME_TYPE}"
  privileged_without_host_devices = true
  pod_annotations = ["io.katacontainers.*"]
  container_annotations = ["io.katacontainers.*"]
`;
}

function isRegistered(tables: Readonly<Record<string, unknown>>, version: number): boolean {
  const plugin = (PLUGINS[version] ?? "").replaceAll('"', "");
  let at: unknown = tables;
  for (const name of ["plugins", plugin, "containerd", "runtimes", "kata"]) {
    at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[name] : undefined;
  }
  return at !== undefined;
}

function importsDropIns({ imports }: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(imports) &&
    imports.some((one) => /^(\/etc\/containerd\/)?conf\.d\/\*(\.toml)?$/.test(String(one)));
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
