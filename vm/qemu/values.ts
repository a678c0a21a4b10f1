/** Values inside of QEMU's options. */

/** Writes a value into a comma-separated option, where a comma is written twice. */
export function value(text: string): string {
  return text.replaceAll(",", ",,");
}
