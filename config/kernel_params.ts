/** Kernel command lines. */

/** Takes parameters apart at white space, but not inside double quotes. */
export function splitKernelParams(text: string): string[] {
  return text.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}
