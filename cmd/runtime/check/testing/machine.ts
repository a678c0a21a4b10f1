/**
 * Machines that only exist as files below a folder.
 *
 * @module
 */

import { ERRNO, SysError } from "../../../../sys/errors.ts";
import type { Kvm } from "../../../../sys/kvm.ts";
import { type CheckHost, thisHost } from "../host.ts";

/** What a machine has. */
export interface Machine {
  readonly arch?: CheckHost["arch"];
  readonly uid?: number;
  /** files by path, with their text */
  readonly files: Readonly<Record<string, string>>;
  /** modules that can be loaded; others fail */
  readonly loadable?: readonly string[];
  /** what KVM says; a code: it cannot be opened */
  readonly kvm?: Partial<Kvm> | "ENOENT" | "EACCES" | "EBUSY";
}

const ALL_CAPABILITIES: ReadonlyMap<number, number> = new Map([0, 3, 21, 70, 102, 165].map((id) => [id, 40]));

/** Makes the files below a folder. */
export function makeMachine(folder: string, machine: Machine): CheckHost {
  for (const [path, text] of Object.entries(machine.files)) {
    Deno.mkdirSync(`${folder}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${folder}${path}`, text);
  }
  const { kvm = {}, loadable = [], arch = "amd64", uid = 0 } = machine;
  return {
    ...thisHost(folder),
    arch,
    uid,
    modprobe: (modules) => {
      const failing = modules.filter((module) => !loadable.includes(module));
      return Promise.resolve(
        new Map(failing.map((module) => [module, `modprobe: FATAL: Module ${module} not found`])),
      );
    },
    openKvm() {
      if (typeof kvm === "string") throw new SysError("openat", ERRNO[kvm] ?? 0, "/dev/kvm");
      return { apiVersion: 12, maxVcpus: 255, canCreateVm: true, capabilities: ALL_CAPABILITIES, ...kvm };
    },
  };
}

/** A processor's block. */
export function cpuinfo(vendor: string, flags: string): string {
  const block =
    `processor\t: 0\nvendor_id\t: ${vendor}\nmodel name\t: Some CPU\nflags\t\t: ${flags}\nbugs\t\t:\n`;
  return `${block}\n${block.replace("processor\t: 0", "processor\t: 1")}\n`;
}

/** A present module. */
export function modules(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`/sys/module/${name}/refcnt`, "0\n"]));
}
