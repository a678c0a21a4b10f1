let calls = 0;

/** Counts its calls: one count, whoever imports this module. */
export function count(): number {
  return ++calls;
}
