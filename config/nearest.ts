/** "Did you mean": the known word nearest to an unknown one. */

/** Longest word that is compared; the effort grows with the square. */
const MAX_LENGTH = 64;

/**
 * The candidate that is closest to a word, if it is close enough to be a slip: letters left out, added, changed or
 * swapped, `-` for `_`, another case.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = normal(word);
  if (plain === "" || plain.length > MAX_LENGTH) return undefined;
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const other = normal(candidate);
    const most = Math.floor(Math.max(plain.length, other.length) / 3);
    if (Math.abs(plain.length - other.length) > most) continue;
    const distance = edits(plain, other);
    if (distance <= most && distance < (best?.distance ?? Infinity)) best = { candidate, distance };
  }
  return best?.candidate;
}

function normal(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, "");
}

/** Smallest number of single changes that make one word of the other; a swap of neighbours is one. */
function edits(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[to.length] ?? 0;
}
