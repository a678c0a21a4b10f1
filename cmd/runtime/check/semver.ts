/**
 * Versions as `major.minor.patch[-pre.release][+build]`.
 *
 * @module
 */

/** A version, taken apart. */
export interface Semver {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** parts behind the "-"; empty for a final release */
  readonly pre: readonly string[];
}

const FORM = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** Reads a version; undefined: it is none. */
export function parseSemver(text: string): Semver | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1, 4).map(Number);
  return { major, minor, patch, pre: match[4]?.split(".") ?? [] };
}

/** Negative: `a` comes before `b`; a pre-release comes before its release. */
export function compareSemver(a: Semver, b: Semver): number {
  const numbers = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  if (numbers !== 0) return numbers;
  if (a.pre.length === 0 || b.pre.length === 0) return b.pre.length - a.pre.length;
  for (let i = 0; i < Math.max(a.pre.length, b.pre.length); i++) {
    const order = comparePart(a.pre[i], b.pre[i]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Numbers before words, fewer parts before more. */
function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumberA && isNumberB) return Number(a) - Number(b);
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}
