/**
 * What the checks look at: files below a root folder, KVM, programs.
 *
 * @module
 */

import { type Kvm, openKvm } from "../../../sys/kvm.ts";

/** Architectures by their usual names. */
export type CheckArch = "amd64" | "arm64";

/** A machine to check. */
export interface CheckHost {
  readonly arch: CheckArch;
  readonly uid: number;
  /** @returns a file's text; undefined: it cannot be read */
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** Loads modules. @returns what is wrong, for each that could not be loaded */
  modprobe(modules: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Asks KVM, and tries to make a virtual machine. @throws {SysError} the device cannot be opened */
  openKvm(capabilities?: readonly number[]): Kvm;
}

/** Loading a module takes no time; a broken hook of modprobe may. */
const MODPROBE_TIMEOUT_MS = 10_000;

/**
 * The machine that this program runs on.
 *
 * @param root folder that files are looked up in, for tests with files of their own
 */
export function thisHost(root = ""): CheckHost {
  const texts = new Map<string, string | undefined>();
  const read = (path: string) => {
    if (!texts.has(path)) texts.set(path, readText(root + path));
    return texts.get(path);
  };
  return {
    arch: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    uid: Deno.uid() ?? 0,
    read,
    exists(path) {
      try {
        Deno.statSync(root + path);
        return true;
      } catch {
        return false;
      }
    },
    modprobe: (modules) => modprobe(modules, `${root}/lib/modules/${kernelRelease(read("/proc/version"))}`),
    openKvm: (capabilities) => openKvm(`${root}/dev/kvm`, capabilities),
  };
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

/** The running kernel's release. @param version the text of /proc/version */
export function kernelRelease(version: string | undefined): string | undefined {
  return version?.split(" ")[2] || undefined;
}

/** One call for all of them: it goes on after a failure, and names each module that it complains about. */
async function modprobe(
  modules: readonly string[],
  folder: string,
): Promise<ReadonlyMap<string, string>> {
  const all = (error: string) => new Map(modules.map((module) => [module, error]));
  if (modules.length === 0) return new Map();
  if (readText(`${folder}/modules.dep`) === undefined) return all(`there are no modules in ${folder}`);
  try {
    const { runProgram } = await import("../../../sys/run.ts");
    const { status, stdout, stderr } = await runProgram({
      argv: ["modprobe", "--all", ...modules],
      timeoutMs: MODPROBE_TIMEOUT_MS,
    });
    if (status.code === 0 && status.signal === 0) return new Map();
    const lines = (stderr + stdout).split("\n");
    return new Map(modules.flatMap((module) => {
      const about = lines.filter((line) => new RegExp(`\\b${module}\\b`).test(line));
      return about.length === 0 ? [] : [[module, about.join("\n")]];
    }));
  } catch (error) {
    return all(error instanceof Error ? error.message : String(error));
  }
}
