/** The filter of devices of a cgroup of version 2, in the kernel. */

import { SpecError } from "../check.ts";
import type { DeviceRule } from "../spec.ts";
import {
  attachDeviceProgram,
  type BpfProgram,
  detachDeviceProgram,
  loadDeviceProgram,
} from "../../sys/bpf.ts";
import { isErrno } from "../../sys/errors.ts";
import { deviceProgram } from "./program.ts";
import { allowEverything, type DeviceAccessRule, deviceRules } from "./rules.ts";

const NAME = "kata_devices";

/** What decides about devices for a cgroup. It stays there with the cgroup, also when this object is closed. */
export class DeviceFilter implements Disposable {
  readonly #cgroupFd: number;
  /** None where everything is allowed. */
  #program: BpfProgram | undefined;

  /** @param cgroupFd folder of the cgroup; stays the caller's */
  constructor(cgroupFd: number) {
    this.#cgroupFd = cgroupFd;
  }

  /**
   * Puts rules into force, in the place of those before: there is no moment without either.
   *
   * @param path JSON path of the rules in messages
   * @throws {SpecError} for rules that make no sense, or that this kernel cannot be given
   */
  apply(rules: readonly DeviceRule[], path: string): void {
    const complete = deviceRules(rules, path);
    try {
      this.set(complete);
    } catch (error) {
      if (!isErrno(error)) throw error;
      throw new SpecError(path, `cannot be applied: ${error.message}`);
    }
  }

  /** The same for rules that are complete; what none is about is denied. @throws {SysError} */
  set(rules: readonly DeviceAccessRule[]): void {
    if (allowEverything(rules)) this.#detach();
    else this.#attach(deviceProgram(rules));
  }

  #attach(instructions: Uint8Array): void {
    const program = loadDeviceProgram(instructions, NAME);
    try {
      attachDeviceProgram(this.#cgroupFd, program, this.#program);
    } catch (error) {
      program.close();
      throw error;
    }
    this.#program?.close();
    this.#program = program;
  }

  #detach(): void {
    if (this.#program === undefined) return;
    detachDeviceProgram(this.#cgroupFd, this.#program);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#program?.close();
    this.#program = undefined;
  }
}
