/**
 * The memory that the native loop (x86_64.S, aarch64.S) works on: one header, and operations one after another.
 * All fields are 64-bit little-endian words; all addresses are absolute.
 *
 * The loop does this:
 *
 * 1. It blocks all signals, then performs the operations from FIRST on, up to and including the one at CLONE, whose
 *    result is a process id in the parent and 0 in the child. An error ends this part; it is kept in FAILED (address
 *    of the operation) and RESULT.
 * 2. In the parent it then performs what lies between CLONE and CHILD, whatever happened before (an error is kept in
 *    the same place), restores the signal mask, and returns. PID is the child's id, or 0 if there is none.
 * 3. In the child it sets all signals to their default action, unblocks them, and performs the operations from CHILD
 *    to END. The result of an operation goes to the cell SAVE, if any; success goes on at ON_SUCCESS, a failure that
 *    is allowed at ON_FAILURE (0 = the next operation). Any other failure is written to STATUS_FD as a record of two
 *    words, {offset of the operation from FIRST, result}, and the child exits with 125; after END it exits with 0.
 *
 * A result from -4095 to -1 is a failure, as everywhere at the border to the kernel.
 */

/** Offsets in the header. */
export const HEADER = {
  /** Where the child writes its record to. */
  STATUS_FD: 0,
  /** Addresses of the first operation, the clone, the child's first operation, and the end of all. */
  FIRST: 8,
  CLONE: 16,
  CHILD: 24,
  END: 32,
  /** Results in the parent. */
  PID: 40,
  FAILED: 48,
  RESULT: 56,
  /** Room for the signal mask, a mask with all signals, and zeros: an empty mask and a default action. */
  OLD_MASK: 64,
  ALL_SIGNALS: 72,
  NO_SIGNALS: 80,
  /** Room for the record. */
  RECORD: 112,
  SIZE: 128,
} as const;

/** Offsets in an operation. */
export const OPERATION = {
  /** Number of the system call, or COMPUTE or EXPECT. */
  NUMBER: 0,
  FLAGS: 8,
  /** Six words. */
  ARGS: 16,
  SAVE: 64,
  ON_SUCCESS: 72,
  ON_FAILURE: 80,
  /** Address of 32-bit words, ended by 0: minus the error numbers that are allowed; 0 = any. */
  ERRNOS: 88,
  SIZE: 96,
} as const;

/** `(a & b) | c` instead of a system call. */
export const COMPUTE = -1;
/** 0 if `(a & b) == c`, else `d`, instead of a system call. */
export const EXPECT = -2;

/** Bits of an operation's flags. Argument i is in a 64-bit cell if bit 2i is set, in an int cell if bit 2i+1 is. */
export const FLAG = {
  CELL_64: 1,
  CELL_32: 2,
  MAY_FAIL: 1 << 12,
  NEVER_FAILS: 1 << 13,
  /** Again if it was interrupted (EINTR). */
  RETRY: 1 << 14,
} as const;

/** A record: the offset of an operation, and its result. */
export const RECORD_SIZE = 16;

/** The child exits with this after a failure that it reported. */
export const EXIT_FAILED = 125;
