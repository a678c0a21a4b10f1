/** How a process ended. */
export interface Exit {
  /** exit code, or 128 + the signal that killed it; 255 when nobody knows */
  readonly status: number;
  readonly at: Date;
}

/** What is reported for a process whose end nobody saw, as its virtual machine is gone. */
export const UNKNOWN_STATUS = 255;

/** What is reported for a process that was killed without ever having been started. */
export const KILLED_STATUS = 137;
