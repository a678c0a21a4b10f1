/** How often a process of the control group was killed; 0 if it is gone. */
export function killsIn(file: string): number {
  try {
    return Number(/^oom_kill ([0-9]+)$/m.exec(Deno.readTextFileSync(file))?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || isGone(error)) return 0;
    throw error;
  }
}

/** A file of a control group that was removed while it was open answers ENODEV. */
function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENODEV";
}
