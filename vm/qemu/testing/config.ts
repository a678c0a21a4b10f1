/** For tests: a VM with a tiny kernel in a temporary folder. */

import assert from "node:assert/strict";
import type { VmConfig } from "../../vmm.ts";
import { tinyKernel, type TinyKernelEnd } from "./tiny_kernel.ts";

/** What a test finds in its folder. */
export interface TinyVm {
  readonly folder: string;
  readonly config: VmConfig;
  /** Lines of the console so far. */
  readonly console: string[];
  /** Lines of the log so far. */
  readonly log: string[];
  /** Resolves when the console has had a line that matches. */
  line(pattern: RegExp): Promise<void>;
  /** Writes a kernel and returns its path. */
  kernel(text: string, end: TinyKernelEnd): string;
}

/** Gives a test a run folder, and checks that it is empty afterwards. */
export async function withTinyVm(use: (vm: TinyVm) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  Deno.mkdirSync(`${folder}/run`, { mode: 0o750 });
  const lines: string[] = [];
  const log: string[] = [];
  let waiting: { pattern: RegExp; resolve: () => void }[] = [];
  const kernel = (text: string, end: TinyKernelEnd) => {
    const path = `${folder}/kernel-${end}`;
    Deno.writeFileSync(path, tinyKernel(text, end));
    return path;
  };
  const config: VmConfig = {
    id: "tiny",
    dir: `${folder}/run`,
    hypervisorPath: "qemu-system-x86_64",
    accelerator: "tcg",
    machineType: "q35",
    kernel: kernel("tiny kernel\n", "halt"),
    kernelParams: [],
    agentParams: [],
    vcpus: 1,
    maxVcpus: 1,
    memoryMiB: 16,
    share: { kind: "none" },
    agentTransport: "virtio-serial",
    seccompSandbox: "on,obsolete=deny,spawn=deny,resourcecontrol=deny",
    entropySource: "/dev/urandom",
    debug: false,
    onConsole(line) {
      lines.push(line);
      for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve();
      waiting = waiting.filter(({ pattern }) => !pattern.test(line));
    },
    onLog: (line) => log.push(line),
  };
  const line = (pattern: RegExp) => {
    if (lines.some((line) => pattern.test(line))) return Promise.resolve();
    return new Promise<void>((resolve) => waiting.push({ pattern, resolve }));
  };
  try {
    await use({ folder, config, console: lines, log, line, kernel });
    assert.deepEqual([...Deno.readDirSync(`${folder}/run`)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
