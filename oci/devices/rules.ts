/** Which devices a container may use: the rules of a specification, made complete. */

import { SpecError } from "../check.ts";
import type { DeviceRule } from "../spec.ts";

/** What is done with a device, as bits (linux/bpf.h, BPF_DEVCG_ACC_*). */
export const ACCESS = { m: 1, r: 2, w: 4 } as const;
/** All of them. */
export const ANY_ACCESS = ACCESS.m | ACCESS.r | ACCESS.w;

/** A rule; what is undefined may be anything. */
export interface DeviceAccessRule {
  readonly allow: boolean;
  readonly type: "b" | "c" | undefined;
  readonly major: number | undefined;
  readonly minor: number | undefined;
  /** bits of `ACCESS` */
  readonly access: number;
}

const MEMORY = 1, TTY = 5, TTY_AUX = 136, MISC = 10;

/** What every container may do: make any node, which gives no access, and use the devices that all have. */
const ALWAYS: readonly DeviceAccessRule[] = [
  { allow: true, type: "c", major: undefined, minor: undefined, access: ACCESS.m },
  { allow: true, type: "b", major: undefined, minor: undefined, access: ACCESS.m },
  // null, zero, full, random, urandom
  ...[3, 5, 7, 8, 9].map((minor) => usable(MEMORY, minor)),
  // tty, ptmx; terminals
  ...[0, 2].map((minor) => usable(TTY, minor)),
  usable(TTY_AUX, undefined),
  // net/tun: of use only to who may set networks up
  usable(MISC, 200),
];

function usable(major: number, minor: number | undefined): DeviceAccessRule {
  return { allow: true, type: "c", major, minor, access: ANY_ACCESS };
}

/**
 * The rules in order, a later one before an earlier one; what no rule is about is denied. The last ones are
 * for devices that every container has.
 *
 * @param path JSON path of the rules in messages
 * @throws {SpecError}
 */
export function deviceRules(rules: readonly DeviceRule[], path: string): DeviceAccessRule[] {
  return [...rules.map((rule, index) => accessRule(rule, `${path}[${index}]`)), ...ALWAYS];
}

/** Whether the rules let everything pass. */
export function allowEverything(rules: readonly DeviceAccessRule[]): boolean {
  const decisive = rules.findLastIndex((rule) => !rule.allow || isAboutEverything(rule));
  const rule = rules[decisive];
  return rule !== undefined && rule.allow;
}

/** Whether it is about every device and all that can be done with it. */
export function isAboutEverything({ type, major, minor, access }: DeviceAccessRule): boolean {
  return type === undefined && major === undefined && minor === undefined && access === ANY_ACCESS;
}

function accessRule({ allow, type, major, minor, access }: DeviceRule, path: string): DeviceAccessRule {
  return {
    allow,
    type: typeOf(type, path),
    major: known(major),
    minor: known(minor),
    access: bits(access, path),
  };
}

function typeOf(type: string | undefined, path: string): "b" | "c" | undefined {
  switch (type) {
    case undefined:
    case "":
    case "a":
      return undefined;
    case "b":
      return "b";
    case "c":
    case "u":
      return "c";
    default:
      throw new SpecError(
        `${path}.type`,
        `must be "a", "b" or "c", as others are no devices: it is "${type}"`,
      );
  }
}

/** A rule without its verdict, as the files of version 1 of cgroups take it: `c 1:3 rwm`. */
export function ruleLine({ type, major, minor, access }: DeviceAccessRule): string {
  const letters = (["r", "w", "m"] as const).filter((letter) => access & ACCESS[letter]).join("");
  return `${type ?? "a"} ${major ?? "*"}:${minor ?? "*"} ${letters}`;
}

function known(number: number | undefined): number | undefined {
  return number === undefined || number < 0 ? undefined : number;
}

function bits(access: string | undefined, path: string): number {
  if (access === undefined || access === "") return ANY_ACCESS;
  let sum = 0;
  for (const letter of access) {
    if (letter !== "m" && letter !== "r" && letter !== "w") {
      throw new SpecError(`${path}.access`, `must be made of "r", "w" and "m": it is "${access}"`);
    }
    sum |= ACCESS[letter];
  }
  return sum;
}
