/** Address families of the kernel. */
export const AF = { UNSPEC: 0, INET: 2, INET6: 10 } as const;

/** The kernel's family of an address of 4 or 16 bytes. */
export function familyOf(address: Uint8Array): number {
  return address.length === 4 ? AF.INET : AF.INET6;
}

function bad(kind: string, text: string): RangeError {
  return new RangeError(`not ${kind}: "${text}"`);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

/** The 16-bit groups of one side of "::"; the end of the address may be written as IPv4. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const tail = last && index === parts.length - 1 && part.includes(".") ? parseIpv4(part) : undefined;
    if (tail) {
      groups.push((tail[0]! << 8) | tail[1]!, (tail[2]! << 8) | tail[3]!);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const sides = text.split("::");
  if (sides.length > 2) return undefined;
  const head = parseGroups(sides[0] ?? "", sides.length === 1);
  const tail = parseGroups(sides[1] ?? "", true);
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (sides.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The bytes of an IPv4 or IPv6 address. @throws {RangeError} if it is none */
export function parseIp(text: string): Uint8Array {
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  if (!bytes) throw bad("an IP address", text);
  return bytes;
}

/** The text of an address of 4 or 16 bytes, IPv6 in the form of RFC 5952. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let [start, length] = [-1, 1]; // the longest run of zeros, of two at least; the first of equals
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
    if (end > i) i = end;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** An address and how many of its first bits are the network's. */
export interface Prefix {
  readonly address: string;
  readonly length: number;
}

/** Parses "10.0.0.1/24"; without a slash the whole address counts. @throws {RangeError} */
export function parsePrefix(text: string): Prefix {
  const [address = "", length, ...rest] = text.split("/");
  const bits = parseIp(address).length * 8;
  if (rest.length > 0 || (length !== undefined && !(/^\d{1,3}$/.test(length) && Number(length) <= bits))) {
    throw bad("an IP prefix", text);
  }
  return { address, length: length === undefined ? bits : Number(length) };
}

/** The bytes of "02:00:00:00:00:01". @throws {RangeError} if it is no hardware address */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2})*$/i.test(text)) throw bad("a hardware address", text);
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}

/** The text of a hardware address, lower case. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
