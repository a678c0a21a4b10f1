/** Architectures whose system calls a filter tells apart, and the numbers that each has for them. */

import { AARCH64 } from "../../../sys/abi/aarch64.ts";
import { X86_64 } from "../../../sys/abi/x86_64.ts";
import { ARM_CALLS } from "./calls_arm.ts";
import { X86_CALLS } from "./calls_x86.ts";

/** Several calls behind one number: which of them is meant stands in its first argument. */
export interface Multiplexer {
  /** name of the call with the one number */
  readonly call: string;
  /** name of each call behind it → its first argument */
  readonly members: ReadonlyMap<string, number>;
}

/** One way of making system calls. */
export interface Architecture {
  /** name in the specification */
  readonly name: string;
  /** AUDIT_ARCH_* (linux/audit.h) */
  readonly audit: number;
  /** Bits of an argument. */
  readonly bits: 32 | 64;
  readonly calls: ReadonlyMap<string, number>;
  readonly multiplexers: readonly Multiplexer[];
}

/** Set in the numbers of x32, which is x86-64 otherwise. */
export const X32_BIT = 0x4000_0000;
/** Numbers from here on are arm's own, whatever the age of the call. */
export const FIRST_PRIVATE_NUMBER = 0xf_0000;
/** From here on a new call has one number on all architectures. */
const FIRST_SHARED_NUMBER = 424;

/** What the specification calls architectures; those of other families cannot be met in this guest. */
const NAMES = new Set(
  ("X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 " +
    "S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB").split(" ").map((name) => `SCMP_ARCH_${name}`),
);

/** Calls of x86-64 that x32 has under the same name with a number of its own, from 512 on, in this order. */
const X32_CALLS =
  "rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace rt_sigpending " +
  "rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid set_robust_list " +
  "get_robust_list vmsplice move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg sendmmsg process_vm_readv " +
  "process_vm_writev setsockopt getsockopt io_setup io_submit execveat preadv2 pwritev2";
const FIRST_X32_NUMBER = 512;
/** Calls of x86-64 that x32 does not have at all. */
const NOT_IN_X32 =
  "uselib _sysctl create_module get_kernel_syms query_module nfsservctl set_thread_area get_thread_area " +
  "epoll_ctl_old epoll_wait_old vserver map_shadow_stack uretprobe uprobe";

const SOCKET_CALLS =
  "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown " +
  "setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
const IPC_CALLS: readonly (readonly [string, number])[] = [
  ["semop", 1],
  ["semget", 2],
  ["semctl", 3],
  ["semtimedop", 4],
  ["msgsnd", 11],
  ["msgrcv", 12],
  ["msgget", 13],
  ["msgctl", 14],
  ["shmat", 21],
  ["shmdt", 22],
  ["shmget", 23],
  ["shmctl", 24],
];

/**
 * All that a filter on a machine has to know: its own architecture, and others that its kernel can run.
 *
 * @param machine as `Deno.build.arch` has it
 */
export function architecturesOf(machine: "x86_64" | "aarch64"): readonly [Architecture, ...Architecture[]] {
  return machine === "x86_64" ? [x8664(), x86(), x32()] : [aarch64(), arm()];
}

/** Whether the specification knows this name of an architecture. */
export function isArchitectureName(name: string): boolean {
  return NAMES.has(name);
}

function x8664(): Architecture {
  const calls = new Map(Object.entries(X86_64));
  return { name: "SCMP_ARCH_X86_64", audit: 0xc000_003e, bits: 64, calls, multiplexers: [] };
}

function x32(): Architecture {
  const own = X32_CALLS.split(" ").map((name, index) => [name, FIRST_X32_NUMBER + index] as const);
  const calls = new Map([...Object.entries(X86_64), ...own].map(([name, nr]) => [name, nr | X32_BIT]));
  for (const name of NOT_IN_X32.split(" ")) calls.delete(name);
  return { name: "SCMP_ARCH_X32", audit: 0xc000_003e, bits: 64, calls, multiplexers: [] };
}

function x86(): Architecture {
  const multiplexers = [
    { call: "socketcall", members: new Map(SOCKET_CALLS.split(" ").map((name, index) => [name, index + 1])) },
    { call: "ipc", members: new Map(IPC_CALLS) },
  ];
  const calls = withShared(X86_CALLS);
  return { name: "SCMP_ARCH_X86", audit: 0x4000_0003, bits: 32, calls, multiplexers };
}

function aarch64(): Architecture {
  const calls = new Map(Object.entries(AARCH64));
  return { name: "SCMP_ARCH_AARCH64", audit: 0xc000_00b7, bits: 64, calls, multiplexers: [] };
}

function arm(): Architecture {
  const calls = withShared(ARM_CALLS);
  calls.delete("memfd_secret");
  // One call with two names.
  calls.set("sync_file_range2", calls.get("arm_sync_file_range") ?? -1);
  return { name: "SCMP_ARCH_ARM", audit: 0x4000_0028, bits: 32, calls, multiplexers: [] };
}

/** The calls of a list, and those that all architectures have under one number. */
function withShared(list: string): Map<string, number> {
  const calls = new Map<string, number>();
  let next = 0;
  for (const word of list.trim().split(/\s+/)) {
    if (/^[0-9]/.test(word)) next = Number(word);
    else calls.set(word, next++);
  }
  for (const [name, number] of Object.entries(AARCH64)) {
    if (number >= FIRST_SHARED_NUMBER) calls.set(name, number);
  }
  return calls;
}
