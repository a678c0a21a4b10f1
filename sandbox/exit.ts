/** How a process ended. */
export interface Exit {
  /** exit code, or 128 + the signal that killed it; 255 when unknown */
  readonly status: number;
  readonly at: Date;
}

/** Reported for a process whose exit status is unknown, as its virtual machine is gone. */
export const UNKNOWN_STATUS = 255;

/** Reported for a process that was killed before it was started. */
export const KILLED_STATUS = 137;
