/** A profile as what is to happen at each number of an architecture. */

import { SpecError } from "../../../oci/check.ts";
import type { Seccomp, SeccompArgument } from "../../../oci/spec.ts";
import { deniesTheUnknown, NOT_THERE, returnValue } from "./actions.ts";
import { type Architecture, FIRST_PRIVATE_NUMBER } from "./architectures.ts";

/** How an argument is compared. `masked` is `(argument & mask) == value`. */
export type Comparison =
  | { readonly kind: "ne" | "lt" | "le" | "eq" | "ge" | "gt"; readonly index: number; readonly value: bigint }
  | { readonly kind: "masked"; readonly index: number; readonly mask: bigint; readonly value: bigint };

/** What happens to a call whose arguments fulfil all conditions. */
export interface Rule {
  readonly conditions: readonly Comparison[];
  /** what the filter returns */
  readonly value: number;
}

/** What happens at one number: the first rule that fits, else `otherwise`. */
export interface Decision {
  readonly rules: readonly Rule[];
  readonly otherwise: number;
}

/** What happens at all numbers of one architecture. */
export interface Decisions {
  readonly numbers: ReadonlyMap<number, Decision>;
  /** at numbers that are not listed */
  readonly otherwise: number;
  /** The highest number that the profile knows of; above it is `beyond`. */
  readonly highest: number;
  readonly beyond: number;
}

/** The profile's entries with names, conditions and values apart. */
export interface NamedRule extends Rule {
  readonly name: string;
}

const KINDS: Readonly<Record<string, Comparison["kind"]>> = {
  SCMP_CMP_NE: "ne",
  SCMP_CMP_LT: "lt",
  SCMP_CMP_LE: "le",
  SCMP_CMP_EQ: "eq",
  SCMP_CMP_GE: "ge",
  SCMP_CMP_GT: "gt",
  SCMP_CMP_MASKED_EQ: "masked",
};

/** What the profile's default returns. @throws {SpecError} */
export function defaultValue(profile: Seccomp, path: string): number {
  const { defaultAction, defaultErrnoRet } = profile;
  return returnValue(defaultAction, defaultErrnoRet, path, ["defaultAction", "defaultErrnoRet"]);
}

/**
 * The rules of a profile in its order, one for each name.
 *
 * @throws {SpecError} for an action or a comparison that does not exist
 */
export function namedRules(profile: Seccomp, path: string): NamedRule[] {
  return (profile.syscalls ?? []).flatMap(({ names, action, errnoRet, args }, index) => {
    const at = `${path}.syscalls[${index}]`;
    const value = returnValue(action, errnoRet, at);
    const alternatives = conditionsOf(args ?? [], `${at}.args`);
    return names.flatMap((name) => alternatives.map((conditions) => ({ name, conditions, value })));
  });
}

/**
 * All conditions of an entry have to hold; but with two of them about one argument, any one of them is
 * enough.
 */
function conditionsOf(args: readonly SeccompArgument[], path: string): Comparison[][] {
  const conditions = args.map((argument, index) => comparisonOf(argument, `${path}[${index}]`));
  const indexes = new Set(conditions.map(({ index }) => index));
  return indexes.size === conditions.length ? [conditions] : conditions.map((condition) => [condition]);
}

function comparisonOf({ index, value, valueTwo = 0, op }: SeccompArgument, path: string): Comparison {
  const kind = Object.hasOwn(KINDS, op) ? KINDS[op] : undefined;
  if (kind === undefined) {
    throw new SpecError(`${path}.op`, `must be one of ${Object.keys(KINDS).join(", ")}: it is "${op}"`);
  }
  if (kind !== "masked") return { kind, index, value: BigInt(value) };
  const mask = BigInt(value);
  return { kind, index, mask, value: BigInt(valueTwo) & mask };
}

/**
 * What happens at the numbers of an architecture; names that it does not have are left out.
 *
 * Rules with conditions come first, in the profile's order; then the first one without.
 */
export function decisionsOf(rules: readonly NamedRule[], fallback: number, on: Architecture): Decisions {
  const collected = new Map<number, { rules: Rule[]; otherwise: number | undefined }>();
  const seen: number[] = [];
  for (const { number, rule } of rules.flatMap((rule) => numbered(rule, on))) {
    seen.push(number);
    let decision = collected.get(number);
    if (decision === undefined) collected.set(number, decision = { rules: [], otherwise: undefined });
    if (rule.conditions.length > 0) decision.rules.push(rule);
    else if (rule.value !== fallback) decision.otherwise ??= rule.value;
  }
  const numbers = new Map<number, Decision>();
  for (const [number, { rules, otherwise = fallback }] of collected) {
    const effective = withoutUseless(rules, otherwise);
    if (effective.length > 0 || otherwise !== fallback) numbers.set(number, { rules: effective, otherwise });
  }
  const highest = seen.reduce(
    (max, nr) => (nr & 0xf_ffff) < FIRST_PRIVATE_NUMBER ? Math.max(max, nr) : max,
    -1,
  );
  const beyond = highest >= 0 && deniesTheUnknown(fallback) ? NOT_THERE : fallback;
  return { numbers, otherwise: fallback, highest, beyond };
}

/** The numbers that a rule is about, with what it asks of the arguments there. */
function numbered(
  { name, conditions, value }: NamedRule,
  on: Architecture,
): { number: number; rule: Rule }[] {
  const found: { number: number; rule: Rule }[] = [];
  const direct = on.calls.get(name);
  if (direct !== undefined) {
    found.push({
      number: direct,
      rule: { conditions: conditions.map((one) => narrowed(one, on.bits)), value },
    });
  }
  // Behind a multiplexer the arguments lie in memory, where a filter cannot look.
  if (conditions.length > 0) return found;
  for (const { call, members } of on.multiplexers) {
    const [number, member] = [on.calls.get(call), members.get(name)];
    if (number === undefined || member === undefined) continue;
    const condition = { kind: "eq", index: 0, value: BigInt(member) } as const;
    found.push({ number, rule: { conditions: [condition], value } });
  }
  return found;
}

/** A comparison as programs of 32 bits can mean it: the upper half of their arguments is zero. */
function narrowed(comparison: Comparison, bits: 32 | 64): Comparison {
  if (bits === 64) return comparison;
  const value = BigInt.asUintN(bits, comparison.value);
  if (comparison.kind !== "masked") return { ...comparison, value };
  return { ...comparison, value, mask: BigInt.asUintN(bits, comparison.mask) };
}

/** Without the last rules that come to the same as no rule. */
function withoutUseless(rules: readonly Rule[], otherwise: number): readonly Rule[] {
  const last = rules.findLastIndex(({ value }) => value !== otherwise);
  return rules.slice(0, last + 1);
}
