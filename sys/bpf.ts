/** BPF programs of a cgroup (bpf(2)). */

import { STRUCTS } from "./abi/structs.ts";
import { isErrno } from "./errors.ts";
import { OwnedFd } from "./fd.ts";
import { Pinned, syscall } from "./syscall.ts";

/** Numbers of linux/bpf.h. */
export const BPF = {
  PROG_LOAD: 5,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_QUERY: 16,
  PROG_TYPE_CGROUP_DEVICE: 15,
  CGROUP_DEVICE: 6,
  F_ALLOW_MULTI: 2,
  F_REPLACE: 4,
} as const;

const ATTR = STRUCTS.bpf_attr;
const INSTRUCTION_SIZE = 8;
const MAX_NAME = 15;
/** How often a call that was interrupted is repeated. */
const MAX_TRIES = 100;
/** Whose helper functions a program may call depends on it; ours call none. */
const LICENSE = "Apache-2.0";
/** Up to the program's name, and up to the program that is replaced. */
const LOAD_SIZE = 64, ATTACH_SIZE = 20, QUERY_SIZE = 32;

/** A program in the kernel. */
export type BpfProgram = OwnedFd;

/**
 * Loads a program that decides about access to devices.
 *
 * @param instructions array of `struct bpf_insn`
 * @param name for people; letters, digits and `_`
 * @throws {SysError} `EINVAL` or `EACCES` if the verifier rejects it
 */
export function loadDeviceProgram(instructions: Uint8Array, name: string): BpfProgram {
  const license = new TextEncoder().encode(`${LICENSE}\0`);
  const memory = new Pinned(LOAD_SIZE + instructions.length + license.length);
  const licenseAt = LOAD_SIZE + instructions.length;
  memory.bytes.set(instructions, LOAD_SIZE);
  memory.bytes.set(license, licenseAt);
  const { view } = memory;
  view.setUint32(ATTR.prog_type, BPF.PROG_TYPE_CGROUP_DEVICE, true);
  view.setUint32(ATTR.insn_cnt, instructions.length / INSTRUCTION_SIZE, true);
  view.setBigUint64(ATTR.insns, memory.address + BigInt(LOAD_SIZE), true);
  view.setBigUint64(ATTR.license, memory.address + BigInt(licenseAt), true);
  memory.bytes.set(new TextEncoder().encode(name).subarray(0, MAX_NAME), ATTR.prog_name);
  return new OwnedFd(bpf(BPF.PROG_LOAD, memory, LOAD_SIZE, `program ${name}`));
}

/**
 * Attaches a program to a cgroup, atomically replacing another one if given.
 *
 * @param cgroupFd folder of the cgroup
 * @throws {SysError}
 */
export function attachDeviceProgram(cgroupFd: number, program: BpfProgram, replaced?: BpfProgram): void {
  const { memory, view } = attachment(cgroupFd, program);
  view.setUint32(ATTR.attach_flags, BPF.F_ALLOW_MULTI | (replaced ? BPF.F_REPLACE : 0), true);
  if (replaced) view.setUint32(ATTR.replace_bpf_fd, replaced.fd, true);
  bpf(BPF.PROG_ATTACH, memory, ATTACH_SIZE, "cgroup");
}

/** Detaches a program from a cgroup. @throws {SysError} `ENOENT` if it is not there */
export function detachDeviceProgram(cgroupFd: number, program: BpfProgram): void {
  bpf(BPF.PROG_DETACH, attachment(cgroupFd, program).memory, ATTACH_SIZE, "cgroup");
}

/** Number of device programs attached to a cgroup, without those of its ancestors. */
export function countDevicePrograms(cgroupFd: number): number {
  const memory = new Pinned(QUERY_SIZE);
  memory.view.setUint32(ATTR.target_fd, cgroupFd, true);
  memory.view.setUint32(ATTR["query.attach_type"], BPF.CGROUP_DEVICE, true);
  bpf(BPF.PROG_QUERY, memory, QUERY_SIZE, "cgroup");
  return memory.view.getUint32(ATTR["query.prog_cnt"], true);
}

function attachment(cgroupFd: number, program: BpfProgram): { memory: Pinned; view: DataView } {
  const memory = new Pinned(ATTACH_SIZE);
  memory.view.setUint32(ATTR.target_fd, cgroupFd, true);
  memory.view.setUint32(ATTR.attach_bpf_fd, program.fd, true);
  memory.view.setUint32(ATTR.attach_type, BPF.CGROUP_DEVICE, true);
  return { memory, view: memory.view };
}

function bpf(command: number, attributes: Pinned, size: number, subject: string): number {
  for (let tries = 1;; tries++) {
    try {
      return syscall("bpf", [command, attributes.bytes, size], subject);
    } catch (error) {
      // A signal that arrives while the verifier runs interrupts it.
      if (tries === MAX_TRIES || !isErrno(error, "EAGAIN")) throw error;
    }
  }
}
