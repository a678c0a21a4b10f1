/** What values of keys must be, besides their types: each check says what is wrong, beginning with "must". */

import { arch } from "../host.ts";
import { splitKernelParams } from "../kernel_params.ts";

/** Smallest memory of a virtual machine, in MiB. */
export const MIN_MEMORY_MIB = 256;

/** The machine type that suits the architecture. */
export const MACHINE = arch === "aarch64" ? "virt" : "q35";

/** Largest whole number that is kept exactly; files may have larger ones, which nothing needs. */
export const LARGEST: number = Number.MAX_SAFE_INTEGER;

/** Machine types per architecture. */
const MACHINES_HERE: readonly string[] = arch === "aarch64" ? ["virt"] : ["q35", "microvm"];

export function badMachine(value: string): string | undefined {
  if (MACHINES_HERE.includes(value)) return undefined;
  return `must be ${MACHINES_HERE.map((name) => `"${name}"`).join(" or ")} on this architecture`;
}

export function powerOfTwo(value: number): string | undefined {
  return Number.isInteger(Math.log2(value)) ? undefined : "must be a power of two";
}

/** Kernel parameters are `name` or `name=value`. */
export function badWords(text: string): string | undefined {
  const nameless = splitKernelParams(text).find((word) => word.startsWith("="));
  return nameless === undefined ? undefined : `must not have a parameter without a name: "${nameless}"`;
}

export function badExpression(expressions: readonly string[]): string | undefined {
  for (const expression of expressions) {
    try {
      new RegExp(expression);
    } catch {
      return `must hold regular expressions: ${JSON.stringify(expression)} is none`;
    }
  }
  return undefined;
}

export function badHash(value: string): string | undefined {
  return /^([0-9a-fA-F]{128})?$/.test(value) ? undefined : "must be 128 hexadecimal digits, a SHA-512";
}

export function badUrl(value: string): string | undefined {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return undefined;
  return 'must be a URL such as "http://localhost:14268/api/traces"';
}

/** The text of a policy, or of anything else, in base64. */
export function badBase64Text(value: string): string | undefined {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(value));
    return undefined;
  } catch {
    return "must be a text in base64";
  }
}
