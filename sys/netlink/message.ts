import { STRUCTS } from "../abi/structs.ts";

const HEADER = STRUCTS.nlmsghdr;
/** Of what stands before the payload of a message. */
export const HEADER_SIZE = HEADER.size;

/** Flags of a netlink message. */
export const NLM = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

/** Types of messages that all netlink families have. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

const NLA_TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

const encoder = new TextEncoder();

/** One received message. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Attributes by type; of one that comes twice, the last. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

const aligned = (length: number) => (length + 3) & ~3;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Splits a datagram into its messages. @throws {RangeError} if a length does not fit */
export function* parseMessages(datagram: Uint8Array): Generator<Message> {
  const view = viewOf(datagram);
  for (let offset = 0; offset < datagram.length;) {
    const left = datagram.length - offset;
    const length = left < HEADER_SIZE ? 0 : view.getUint32(offset, true);
    if (length < HEADER_SIZE || length > left) {
      throw new RangeError(
        `a netlink message of ${length} bytes does not fit into the ${left} that are left`,
      );
    }
    yield {
      type: view.getUint16(offset + HEADER.nlmsg_type, true),
      flags: view.getUint16(offset + HEADER.nlmsg_flags, true),
      sequence: view.getUint32(offset + HEADER.nlmsg_seq, true),
      payload: datagram.subarray(offset + HEADER_SIZE, offset + length),
    };
    offset += aligned(length);
  }
}

/** Parses the attributes from `offset` on. @throws {RangeError} if a length does not fit */
export function parseAttributes(bytes: Uint8Array, offset = 0): Attributes {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  while (offset + 4 <= bytes.length) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > bytes.length) {
      throw new RangeError(
        `a netlink attribute of ${length} bytes does not fit into the ${bytes.length - offset} that are left`,
      );
    }
    attributes.set(
      view.getUint16(offset + 2, true) & NLA_TYPE_MASK,
      bytes.subarray(offset + 4, offset + length),
    );
    offset += aligned(length);
  }
  return attributes;
}

/** An attribute as unsigned 32-bit number; undefined if it is missing or shorter. */
export function u32(bytes: Uint8Array | undefined): number | undefined {
  return bytes && bytes.length >= 4 ? viewOf(bytes).getUint32(0, true) : undefined;
}

/** An attribute as text up to its NUL. */
export function text(bytes: Uint8Array | undefined): string | undefined {
  if (!bytes) return undefined;
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Builds the payload of a message: a fixed structure, then attributes. */
export class Payload {
  #bytes = new Uint8Array(256);
  #length = 0;

  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    viewOf(this.#bytes).setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    viewOf(this.#bytes).setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#grow(8);
    viewOf(this.#bytes).setBigUint64(at, value, true);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** Adds an attribute; one that is undefined is left out. Text gets its NUL, numbers are 32 bits. */
  attribute(type: number, value: Uint8Array | number | string | undefined): this {
    if (value === undefined) return this;
    if (typeof value === "number") return this.attribute(type, new Payload().u32(value).finish());
    if (typeof value === "string") return this.attribute(type, encoder.encode(value + "\0"));
    this.u16(4 + value.length).u16(type).bytes(value);
    this.#grow(aligned(value.length) - value.length);
    return this;
  }

  /** Adds an attribute that holds attributes. */
  nested(type: number, fill: (inner: Payload) => void): this {
    const inner = new Payload();
    fill(inner);
    return this.attribute(type | NLA_F_NESTED, inner.finish());
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** Puts a header before the payload. */
export function frame(type: number, flags: number, sequence: number, payload: Uint8Array): Uint8Array {
  return new Payload().u32(HEADER_SIZE + payload.length).u16(type).u16(flags).u32(sequence).u32(0).bytes(
    payload,
  )
    .finish();
}
