/** Numbers of the resource limits; the same on x86-64 and arm64. See prlimit(2), `asm-generic/resource.h`. */
export const RLIMIT = {
  CPU: 0,
  FSIZE: 1,
  DATA: 2,
  STACK: 3,
  CORE: 4,
  RSS: 5,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  AS: 9,
  LOCKS: 10,
  SIGPENDING: 11,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
  RTTIME: 15,
} as const;

export type RlimitName = keyof typeof RLIMIT;

/** "No limit", as a soft or hard value. */
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;
