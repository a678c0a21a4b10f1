/**
 * A profile of the specification as a filter for seccomp(2).
 *
 * The filter asks for the architecture, then finds the call's number by halving, then compares arguments.
 */

import { SpecError } from "../../../oci/check.ts";
import type { Seccomp } from "../../../oci/spec.ts";
import { arch } from "../../../sys/syscall.ts";
import type { SeccompFilter } from "../plan/seccomp.ts";
import { filterFlags, KILL_THREAD } from "./actions.ts";
import { type Architecture, architecturesOf, isArchitectureName, X32_BIT } from "./architectures.ts";
import { assemble, Graph, MAX_INSTRUCTIONS, type Node, TooLongError } from "./assembler.ts";
import {
  type Comparison,
  type Decision,
  type Decisions,
  decisionsOf,
  defaultValue,
  namedRules,
} from "./rules.ts";

/** Offsets in `struct seccomp_data`. */
const NUMBER = 0, ARCHITECTURE = 4, ARGUMENTS = 16;
/** What a tracer puts in place of a call's number for it to be skipped. */
const NO_CALL = 0xffff_ffff;

/**
 * Compiles a profile.
 *
 * @param machine whose calls the filter is to tell apart; default: this one
 * @throws {SpecError} for what the profile cannot mean, or what the kernel would not take
 */
export function compileProfile(
  profile: Seccomp,
  path = "linux.seccomp",
  machine: "x86_64" | "aarch64" = arch,
): SeccompFilter {
  const flags = filterFlags(profile.flags, `${path}.flags`);
  const fallback = defaultValue(profile, path);
  const rules = namedRules(profile, path);
  const graph = new Graph();
  try {
    let node = graph.return(KILL_THREAD);
    for (
      const [audit, ranges] of rangesByAudit(profile, machine, path, (on) => decisionsOf(rules, fallback, on))
    ) {
      const search = graph.load(NUMBER, halve(graph, ranges, 0, ranges.length));
      node = graph.test({ operator: "==", value: audit }, search, node);
    }
    return { flags, instructions: assemble(graph.load(ARCHITECTURE, node)) };
  } catch (error) {
    if (!(error instanceof TooLongError)) throw error;
    throw new SpecError(
      path,
      `makes a filter of more than ${MAX_INSTRUCTIONS} instructions, the kernel's limit`,
    );
  }
}

/** What happens from a number on, up to the next range. */
interface Range {
  readonly from: number;
  readonly decision: Decision;
}

/** The architectures that the profile lists, and the machine's own in any case. */
function rangesByAudit(
  profile: Seccomp,
  machine: "x86_64" | "aarch64",
  path: string,
  decide: (on: Architecture) => Decisions,
): Map<number, Range[]> {
  const listed = new Set(profile.architectures);
  for (const [index, name] of (profile.architectures ?? []).entries()) {
    if (isArchitectureName(name)) continue;
    throw new SpecError(`${path}.architectures[${index}]`, `is not a known architecture: it is "${name}"`);
  }
  const [native, ...others] = architecturesOf(machine);
  const byAudit = new Map<number, Range[]>();
  for (const on of [native, ...others.filter(({ name }) => listed.has(name))]) {
    const decisions = decide(on);
    const above = byAudit.get(on.audit);
    // x32 has the upper part of the numbers of x86-64.
    if (above) {
      byAudit.set(on.audit, [...above.filter(({ from }) => from < X32_BIT), ...rangesOf(decisions, X32_BIT)]);
    } else {byAudit.set(
        on.audit,
        on.name === "SCMP_ARCH_X86_64" ? withoutX32(decisions) : rangesOf(decisions, 0),
      );}
  }
  return byAudit;
}

function withoutX32(decisions: Decisions): Range[] {
  return [
    ...rangesOf(decisions, 0),
    { from: X32_BIT, decision: { rules: [], otherwise: KILL_THREAD } },
    { from: NO_CALL, decision: { rules: [], otherwise: decisions.otherwise } },
  ];
}

/** The decisions as ranges in ascending order, the first from `first` on. */
function rangesOf({ numbers, otherwise, highest, beyond }: Decisions, first: number): Range[] {
  const starts = new Set([first]);
  for (const number of numbers.keys()) starts.add(number).add(number + 1);
  if (highest >= 0) starts.add(highest + 1);
  return [...starts].sort((a, b) => a - b).map((from) => {
    const unlisted = highest >= 0 && from > highest ? beyond : otherwise;
    return { from, decision: numbers.get(from) ?? { rules: [], otherwise: unlisted } };
  });
}

/** Finds the range of the loaded number among those from `begin` up to, but not including, `end`. */
function halve(graph: Graph, ranges: readonly Range[], begin: number, end: number): Node {
  const middle = (begin + end) >> 1;
  const range = ranges[middle];
  if (range === undefined) throw new Error("there is no range");
  if (end - begin === 1) return outcome(graph, range.decision);
  const [lower, upper] = [halve(graph, ranges, begin, middle), halve(graph, ranges, middle, end)];
  return graph.test({ operator: ">=", value: range.from }, upper, lower);
}

function outcome(graph: Graph, { rules, otherwise }: Decision): Node {
  return rules.reduceRight<Node>(
    (next, { conditions, value }) =>
      conditions.reduceRight<Node>(
        (then, condition) => compare(graph, condition, then, next),
        graph.return(value),
      ),
    graph.return(otherwise),
  );
}

/** A comparison of an argument of 64 bits, which a program sees as two words. */
function compare(graph: Graph, comparison: Comparison, then: Node, otherwise: Node): Node {
  switch (comparison.kind) {
    case "eq":
      return equal(graph, comparison, ALL_BITS, then, otherwise);
    case "ne":
      return equal(graph, comparison, ALL_BITS, otherwise, then);
    case "masked":
      return equal(graph, comparison, comparison.mask, then, otherwise);
    case "gt":
      return greater(graph, comparison, ">", then, otherwise);
    case "ge":
      return greater(graph, comparison, ">=", then, otherwise);
    case "lt":
      return greater(graph, comparison, ">=", otherwise, then);
    case "le":
      return greater(graph, comparison, ">", otherwise, then);
  }
}

const ALL_BITS = 0xffff_ffff_ffff_ffffn;
const WORD_BITS = 32n;
const WORD_MASK = 0xffff_ffffn;

interface Words {
  readonly low: number;
  readonly high: number;
}

function wordsOf(value: bigint): Words {
  return { low: Number(value & WORD_MASK), high: Number(value >> WORD_BITS) };
}

/** Little-endian, as all architectures here are. */
function offsetsOf(index: number): Words {
  return { low: ARGUMENTS + 8 * index, high: ARGUMENTS + 8 * index + 4 };
}

type Operand = { readonly index: number; readonly value: bigint };

function equal(graph: Graph, { index, value }: Operand, bits: bigint, then: Node, otherwise: Node): Node {
  const [offset, wanted, masks] = [offsetsOf(index), wordsOf(value), wordsOf(bits)];
  const word = (half: keyof Words, next: Node) => {
    if (masks[half] === 0) return next;
    const mask = masks[half] === Number(WORD_MASK) ? {} : { mask: masks[half] };
    const test = { offset: offset[half], ...mask, operator: "==", value: wanted[half] } as const;
    return graph.test(test, next, otherwise);
  };
  return word("high", word("low", then));
}

function greater(
  graph: Graph,
  { index, value }: Operand,
  operator: ">" | ">=",
  then: Node,
  otherwise: Node,
): Node {
  const [offset, wanted] = [offsetsOf(index), wordsOf(value)];
  const low = graph.test({ offset: offset.low, operator, value: wanted.low }, then, otherwise);
  // The word that the test before has loaded.
  const same = graph.test({ operator: "==", value: wanted.high }, low, otherwise);
  return graph.test({ offset: offset.high, operator: ">", value: wanted.high }, then, same);
}
