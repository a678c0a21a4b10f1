/**
 * Protobuf messages as plain objects, encoded and decoded by one table per message.
 *
 * The generated files hold nothing but these tables and the types. They are tables rather than the reflective
 * descriptors of protobuf-es because start-up counts: building its descriptors takes more than ten milliseconds
 * on a host, and a multiple of that in an emulated guest, before the first byte is served; a table costs nothing
 * until its message is used. The bytes themselves are read and written by protobuf-es.
 *
 * What holds of proto3 here: fields with their zero value are left out, unless declared `optional`; unknown
 * fields, and known ones with a foreign wire type, are skipped; repeated numbers are written packed and read in
 * both forms; of a singular field that comes twice the last one counts, and messages are merged.
 */

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Scalar types in use. */
export type Scalar =
  | "string"
  | "bytes"
  | "bool"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "double"
  | "enum";

/** Left out = singular. `map` = from string to the field's type. */
export type Cardinality = "repeated" | "optional" | "map";

/** One field of a message. */
export type Field = readonly [
  number: number,
  name: string,
  type: Scalar | Schema<unknown>,
  cardinality?: Cardinality,
];

/** One message type. */
export interface Schema<out T> {
  /** Full proto name with package. */
  readonly typeName: string;
  /** Made when first asked for. */
  readonly fields: readonly Field[];
  readonly byNumber: ReadonlyMap<number, Field>;
  /** Carries the type; never set. */
  readonly example?: T;
}

/** What a message can be made from: any part of it; nested messages in part as well. */
export type Init<T> = T extends Uint8Array | string | number | bigint | boolean ? T
  : T extends readonly (infer E)[] ? readonly Init<E>[]
  : { readonly [K in keyof T]?: Init<T[K]> | undefined };

type Plain = Record<string, unknown>;

/**
 * Most entries of lists and maps, and messages within it, that one message may have. Two bytes are enough for one of
 * them: a frame full of those would keep its reader busy for seconds, and take a hundred times its size in memory.
 * The longest argument list that Linux takes is shorter.
 */
const MAX_ITEMS = 2 ** 18;

/** How many of them are still to be had. */
interface Budget {
  items: number;
}

/** Declares a message type. @param fields is called once, at the first use */
export function message<T>(typeName: string, fields: () => readonly Field[]): Schema<T> {
  let list: readonly Field[] | undefined;
  let map: ReadonlyMap<number, Field> | undefined;
  return {
    typeName,
    get fields() {
      return list ??= fields();
    },
    get byNumber() {
      return map ??= new Map(this.fields.map((field) => [field[0], field]));
    },
  };
}

/** Makes a whole message: what `init` leaves out has its default. Nested values are copied, bytes are not. */
export function create<T>(schema: Schema<T>, init: Init<T> = {} as Init<T>): T {
  const made: Plain = {};
  for (const [, name, type, cardinality] of schema.fields) {
    const value = (init as Plain)[name];
    const whole = (item: unknown) => typeof type === "string" ? item : create(type, item as Plain);
    if (value === undefined) {
      const initial = defaultOf(type, cardinality);
      if (initial !== undefined) made[name] = initial;
    } else if (cardinality === "repeated") made[name] = (value as unknown[]).map(whole);
    else if (cardinality === "map") {
      const entries = Object.entries(value as Plain).map(([key, item]) => [key, whole(item)]);
      made[name] = Object.fromEntries(entries);
    } else made[name] = whole(value);
  }
  return made as T;
}

/**
 * Encodes a message, or any part of one.
 *
 * @throws {Error} when a number does not fit its field
 */
export function toBinary<T>(schema: Schema<T>, value: T | Init<T>): Uint8Array {
  const writer = new BinaryWriter();
  writeMessage(writer, schema, value as Plain);
  return writer.finish();
}

/**
 * Decodes a message. Fields of type `bytes` are views into `bytes`, not copies.
 *
 * @throws {RangeError|Error} when the bytes are no such message, or one of too many parts
 */
export function fromBinary<T>(schema: Schema<T>, bytes: Uint8Array): T {
  const made = create(schema);
  readMessage(new BinaryReader(bytes), schema, made as Plain, { items: MAX_ITEMS });
  return made;
}

function defaultOf(type: Scalar | Schema<unknown>, cardinality?: Cardinality): unknown {
  if (cardinality === "repeated") return [];
  if (cardinality === "map") return {};
  if (cardinality === "optional" || typeof type !== "string") return undefined;
  return zero(type);
}

function zero(type: Scalar): unknown {
  switch (type) {
    case "string":
      return "";
    case "bytes":
      return new Uint8Array();
    case "bool":
      return false;
    case "int64":
    case "uint64":
      return 0n;
    default:
      return 0;
  }
}

function writeMessage(writer: BinaryWriter, schema: Schema<unknown>, from: Plain): void {
  for (const [number, name, type, cardinality] of schema.fields) {
    const value = from[name];
    if (value === undefined) continue;
    if (cardinality === "repeated") writeList(writer, number, type, value as readonly unknown[]);
    else if (cardinality === "map") writeMap(writer, number, type, value as Plain);
    else if (cardinality === "optional" || !isZero(type, value)) writeField(writer, number, type, value);
  }
}

function isZero(type: Scalar | Schema<unknown>, value: unknown): boolean {
  if (type === "bytes") return (value as Uint8Array).length === 0;
  // a negative zero has bits of its own
  return value === "" || value === false || value === 0n || Object.is(value, 0);
}

function writeField(
  writer: BinaryWriter,
  number: number,
  type: Scalar | Schema<unknown>,
  value: unknown,
): void {
  if (typeof type === "string") {
    writer.tag(number, wireType(type));
    writeScalar(writer, type, value);
    return;
  }
  writer.tag(number, WireType.LengthDelimited).fork();
  writeMessage(writer, type, value as Plain);
  writer.join();
}

function writeList(
  writer: BinaryWriter,
  number: number,
  type: Scalar | Schema<unknown>,
  list: readonly unknown[],
): void {
  if (typeof type !== "string" || wireType(type) === WireType.LengthDelimited) {
    for (const item of list) writeField(writer, number, type, item);
    return;
  }
  if (list.length === 0) return;
  writer.tag(number, WireType.LengthDelimited).fork();
  for (const item of list) writeScalar(writer, type, item);
  writer.join();
}

function writeMap(writer: BinaryWriter, number: number, type: Scalar | Schema<unknown>, map: Plain): void {
  for (const [key, value] of Object.entries(map)) {
    if (value === undefined) continue;
    writer.tag(number, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writeField(writer, 2, type, value);
    writer.join();
  }
}

function writeScalar(writer: BinaryWriter, type: Scalar, value: unknown): void {
  if (type === "bytes") writer.bytes(value as Uint8Array<ArrayBuffer>);
  else if (type === "enum") writer.int32(value as number);
  else (writer[type] as (value: unknown) => void).call(writer, value);
}

function wireType(type: Scalar): WireType {
  if (type === "string" || type === "bytes") return WireType.LengthDelimited;
  return type === "double" ? WireType.Bit64 : WireType.Varint;
}

function readMessage(reader: BinaryReader, schema: Schema<unknown>, into: Plain, budget: Budget): void {
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const field = schema.byNumber.get(number);
    if (field === undefined || !readField(reader, wire, field, into, budget)) reader.skip(wire, number);
  }
}

function spend(budget: Budget): void {
  if (--budget.items < 0) throw new RangeError(`a message must have at most ${MAX_ITEMS} parts`);
}

/** @returns false when the wire type is not one of the field's; then nothing was read */
function readField(
  reader: BinaryReader,
  wire: WireType,
  field: Field,
  into: Plain,
  budget: Budget,
): boolean {
  const [, name, type, cardinality] = field;
  const delimited = wire === WireType.LengthDelimited;
  if (cardinality === "map") {
    if (delimited) readEntry(new BinaryReader(reader.bytes()), type, into[name] as Plain, budget);
    return delimited;
  }
  const list = cardinality === "repeated" ? into[name] as unknown[] : undefined;
  if (typeof type !== "string") {
    if (!delimited) return false;
    spend(budget);
    const nested = (list ? undefined : into[name]) ?? create(type);
    readMessage(new BinaryReader(reader.bytes()), type, nested as Plain, budget);
    if (list) list.push(nested);
    else into[name] = nested;
    return true;
  }
  if (wire === wireType(type)) {
    if (list) spend(budget);
    const value = readScalar(reader, type);
    if (list) list.push(value);
    else into[name] = value;
    return true;
  }
  if (list === undefined || !delimited) return false;
  const packed = new BinaryReader(reader.bytes());
  while (packed.pos < packed.len) {
    spend(budget);
    list.push(readScalar(packed, type));
  }
  return true;
}

function readEntry(
  reader: BinaryReader,
  type: Scalar | Schema<unknown>,
  into: Plain,
  budget: Budget,
): void {
  spend(budget);
  const entry: Plain = { key: "", value: typeof type === "string" ? zero(type) : create(type) };
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const field: Field | undefined = number === 1
      ? [1, "key", "string"]
      : number === 2
      ? [2, "value", type]
      : undefined;
    if (field === undefined || !readField(reader, wire, field, entry, budget)) reader.skip(wire, number);
  }
  // an own property even if the key is "__proto__"
  Object.defineProperty(into, entry.key as string, {
    value: entry.value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

function readScalar(reader: BinaryReader, type: Scalar): unknown {
  switch (type) {
    case "int64":
      return BigInt(reader.int64());
    case "uint64":
      return BigInt(reader.uint64());
    case "enum":
      return reader.int32();
    case "string":
      // refuses what is not UTF-8
      return reader.string(true);
    default:
      return reader[type]();
  }
}
