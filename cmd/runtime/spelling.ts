/** Names that somebody may have meant who wrote another one. */

/** At most this many letters are added, left out, changed or swapped, and never half of them. */
const MAX_EDITS = 3;

/** The name that is nearest to a text, if one is near enough to be meant. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  // no name is that long, and the work grows with the square
  if (text.length > 64) return undefined;
  let best: { name: string; edits: number } | undefined;
  for (const name of names) {
    const edits = editDistance(text, name);
    if (edits > MAX_EDITS || edits * 2 > name.length) continue;
    if (best === undefined || edits < best.edits) best = { name, edits };
  }
  return best?.name;
}

/** `: did you mean …?` for the nearest name, or nothing. @param show writes the name as it is typed */
export function didYouMean(
  text: string,
  names: readonly string[],
  show = (name: string) => `"${name}"`,
): string {
  const name = nearest(text, names);
  return name === undefined ? "" : `: did you mean ${show(name)}?`;
}

/** How many letters have to be added, left out, changed, or swapped with their neighbour to get from one to the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforeLast[j - 2] ?? Infinity) + 1 : Infinity,
      ));
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
