/**
 * Traces in the form that Jaeger's collector takes over HTTP: a structure of Thrift, in its binary protocol.
 *
 * @module
 */

import type { Batch, Span } from "./span.ts";

/** Numbers of Thrift's types. */
const TYPE = { stop: 0, bool: 2, i32: 8, i64: 10, string: 11, struct: 12, list: 15 } as const;

/** Kinds of a tag's value. */
const TAG = { string: 0, bool: 2 } as const;

/** Says of a span that it is to be kept. */
const SAMPLED = 1;

/** The batch as the body of a request. */
export function encodeBatch({ service, tags, traceId, spans }: Batch): Uint8Array<ArrayBuffer> {
  const out = new Writer();
  out.structure(1, () => {
    out.text(1, service);
    const named = Object.entries(tags);
    out.list(2, named, ([key, value]) => textTag(out, key, value));
  });
  out.list(2, spans, (span) => writeSpan(out, span, traceId));
  out.stop();
  return out.bytes();
}

function writeSpan(out: Writer, span: Span, traceId: Batch["traceId"]): void {
  const { name, id, parent, startUs, durationUs, error } = span;
  out.int64(1, traceId.low);
  out.int64(2, traceId.high);
  out.int64(3, id);
  out.int64(4, parent);
  out.text(5, name);
  out.int32(7, SAMPLED);
  out.int64(8, BigInt(Math.round(startUs)));
  out.int64(9, BigInt(Math.max(0, Math.round(durationUs))));
  if (error === undefined) return;
  const tags = [() => flagTag(out, "error"), () => textTag(out, "error.message", error)];
  out.list(10, tags, (write) => write());
}

function textTag(out: Writer, key: string, value: string): void {
  out.text(1, key);
  out.int32(2, TAG.string);
  out.text(3, value);
}

function flagTag(out: Writer, key: string): void {
  out.text(1, key);
  out.int32(2, TAG.bool);
  out.flag(5);
}

/** Fields of structures, one after the other. */
class Writer {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  int32(field: number, value: number): void {
    this.#head(TYPE.i32, field);
    this.#number(4, (view) => view.setInt32(0, value));
  }

  int64(field: number, value: bigint): void {
    this.#head(TYPE.i64, field);
    this.#number(8, (view) => view.setBigUint64(0, value));
  }

  /** A flag that is set. */
  flag(field: number): void {
    this.#head(TYPE.bool, field);
    this.#number(1, (view) => view.setUint8(0, 1));
  }

  text(field: number, value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.#head(TYPE.string, field);
    this.#number(4, (view) => view.setInt32(0, bytes.length));
    this.#parts.push(bytes);
  }

  structure(field: number, write: () => void): void {
    this.#head(TYPE.struct, field);
    write();
    this.stop();
  }

  /** A list of structures. */
  list<T>(field: number, items: readonly T[], write: (item: T) => void): void {
    this.#head(TYPE.list, field);
    this.#number(1, (view) => view.setUint8(0, TYPE.struct));
    this.#number(4, (view) => view.setInt32(0, items.length));
    for (const item of items) {
      write(item);
      this.stop();
    }
  }

  /** The end of a structure. */
  stop(): void {
    this.#number(1, (view) => view.setUint8(0, TYPE.stop));
  }

  #head(type: number, field: number): void {
    this.#number(3, (view) => {
      view.setUint8(0, type);
      view.setInt16(1, field);
    });
  }

  #number(size: number, write: (view: DataView) => void): void {
    const bytes = new Uint8Array(size);
    write(new DataView(bytes.buffer));
    this.#parts.push(bytes);
  }
}
