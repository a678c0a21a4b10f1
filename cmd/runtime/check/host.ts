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
  /** Loads a module. @returns what is wrong; undefined: it is loaded */
  modprobe(module: string): Promise<string | undefined>;
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
  return {
    arch: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    uid: Deno.uid() ?? 0,
    read(path) {
      try {
        return Deno.readTextFileSync(root + path);
      } catch {
        return undefined;
      }
    },
    exists(path) {
      try {
        Deno.statSync(root + path);
        return true;
      } catch {
        return false;
      }
    },
    modprobe,
    openKvm: (capabilities) => openKvm(`${root}/dev/kvm`, capabilities),
  };
}

async function modprobe(module: string): Promise<string | undefined> {
  try {
    const { runProgram } = await import("../../../sys/run.ts");
    const { status, stdout, stderr } = await runProgram({
      argv: ["modprobe", module],
      timeoutMs: MODPROBE_TIMEOUT_MS,
    });
    if (status.code === 0 && status.signal === 0) return undefined;
    return (stderr + stdout).trim() || `modprobe ended with code ${status.code}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
