/** Steps that write kernel settings. */

import { AT, O } from "../../../sys/fd.ts";
import type { Slot } from "../../../sys/program.ts";
import type { Steps } from "./steps.ts";
import type { SysctlWrite } from "./sysctl.ts";

const DENIED = ["EACCES", "EPERM"];

/** A setting, and the cell that is 1 once it is written. */
export interface RefusedSetting {
  readonly write: SysctlWrite;
  readonly done: Slot;
}

/** With the agent's /proc in sight. */
export function setSettings(steps: Steps, writes: readonly SysctlWrite[]): void {
  for (const { name, path, value } of writes) steps.writeProcFile(`set ${name}`, path, value);
}

/**
 * In a user namespace, still as the agent's user: to older kernels the files of settings belong to the machine's root.
 *
 * @returns what `retrySettings` is to try again
 */
export function trySettings(steps: Steps, writes: readonly SysctlWrite[]): RefusedSetting[] {
  const { program, target } = steps;
  return writes.map((write) => {
    const { name, path, value } = write;
    const done = steps.slot(`${name} is set`);
    const [refused, closing] = [program.label(`${name} is refused`), program.label(`${name} was tried`)];
    const step = `try to set ${name}`;
    const bytes = new TextEncoder().encode(value);
    program.compute(`${name} is not set yet`, done, 0);
    const open = [AT.FDCWD, program.cstring(path), O.WRONLY | O.CLOEXEC, 0];
    program.step(step, "openat", open, { save: target, mayFail: DENIED, onFailure: refused });
    program.step(step, "write", [target, program.bytes(bytes), bytes.length], {
      mayFail: DENIED,
      onFailure: closing,
    });
    program.compute(`${name} is set`, done, 1);
    program.place(closing);
    steps.close(target);
    program.place(refused);
    return { write, done };
  });
}

/** As the user namespace's own root: to newer kernels they belong to that. */
export function retrySettings(steps: Steps, tried: readonly RefusedSetting[]): void {
  const { program } = steps;
  for (const { write, done } of tried) {
    const there = program.label(`${write.name} needs no more`);
    program.expect(`look whether ${write.name} is set`, done, { equals: 0, errno: "EEXIST" }, {
      onFailure: there,
    });
    setSettings(steps, [write]);
    program.place(there);
  }
}
