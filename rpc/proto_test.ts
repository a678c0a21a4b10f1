/** All messages of the .proto files against two independent encoders: protoc, and protobuf-es's own reflection. */

import {
  create as createReflected,
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary as fromBinaryReflected,
  type MessageShape,
  ScalarType,
  toBinary as toBinaryReflected,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import assert from "node:assert/strict";
import { join } from "node:path";
import { fromBinary, type Schema, toBinary } from "./message.ts";
import type { Service } from "./service.ts";

const here = import.meta.dirname ?? ".";
const protoDir = join(here, "proto");

/** Files below `dir`, relative to it. */
function filesBelow(dir: string, below = ""): string[] {
  return [...Deno.readDirSync(join(dir, below))].flatMap((entry) => {
    const path = join(below, entry.name);
    return entry.isDirectory ? filesBelow(dir, path) : [path];
  });
}

const protoFiles = filesBelow(protoDir);

async function protoc(args: string[], input: Uint8Array): Promise<Uint8Array> {
  const child = new Deno.Command("protoc", {
    args: [`--proto_path=${protoDir}`, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return stdout;
}

const descriptors = createFileRegistry(
  fromBinaryReflected(
    FileDescriptorSetSchema,
    await protoc(["--descriptor_set_out=/dev/stdout", ...protoFiles], new Uint8Array()),
  ),
);
const messages = [...descriptors].filter((desc): desc is DescMessage => desc.kind === "message");

const schemas = new Map<string, Schema<unknown>>();
const services = new Map<string, Service>();
for (const file of filesBelow(join(here, "gen"))) {
  const module: Record<string, unknown> = await import(`./gen/${file}`);
  for (const item of Object.values(module)) {
    if (typeof item !== "object" || item === null || !("typeName" in item)) continue;
    if ("methods" in item) services.set((item as Service).typeName, item as Service);
    else if ("fields" in item) schemas.set((item as Schema<unknown>).typeName, item as Schema<unknown>);
  }
}

function schemaOf(desc: DescMessage): Schema<unknown> {
  const schema = schemas.get(desc.typeName);
  assert.ok(schema, desc.typeName);
  return schema;
}

/** Message objects of protobuf-es name their type and have a prototype; ours are plain. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key, item]) =>
    key !== "$typeName" && key !== "$unknown" && item !== undefined
  );
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
}

/** A value for one field, or for one item of it, as `value(scalar or enum)` says. */
function fill(desc: DescMessage, value: (field: DescField) => unknown): Record<string, unknown> {
  const single = (field: DescField): unknown => field.message ? fill(field.message, value) : value(field);
  return Object.fromEntries(desc.fields.map((field) => {
    if (field.fieldKind === "list") return [field.localName, [single(field), single(field)]];
    // the order of map entries is not fixed
    if (field.fieldKind === "map") return [field.localName, { "a key": single(field) }];
    return [field.localName, single(field)];
  }));
}

const SAMPLES: Partial<Record<ScalarType, unknown>> = {
  [ScalarType.STRING]: 'text with "quotes", ünicode 🙂 and a \n break',
  [ScalarType.BYTES]: Uint8Array.of(0, 1, 127, 128, 255, 34, 92),
  [ScalarType.BOOL]: true,
  [ScalarType.INT32]: -123_456,
  [ScalarType.UINT32]: 4_294_967_295,
  [ScalarType.INT64]: -(2n ** 63n),
  [ScalarType.UINT64]: 2n ** 64n - 1n,
  [ScalarType.DOUBLE]: 0.1,
};

function sample(field: DescField): unknown {
  if (field.enum) return field.enum.values.at(-1)?.number ?? 0;
  return field.scalar === undefined ? undefined : SAMPLES[field.scalar];
}

/** Text format of protobuf, which protoc reads. */
function textOf(desc: DescMessage, message: Record<string, unknown>): string {
  const lines = desc.fields.flatMap((field) => {
    const value = message[field.localName];
    if (value === undefined) return [];
    const item = (one: unknown) =>
      field.message ? `{ ${textOf(field.message, one as Record<string, unknown>)} }` : scalarText(one);
    if (field.fieldKind === "list") return (value as unknown[]).map((one) => `${field.name}: ${item(one)}`);
    if (field.fieldKind !== "map") return [`${field.name}: ${item(value)}`];
    return Object.entries(value as Record<string, unknown>).map(([key, one]) =>
      `${field.name} { key: ${scalarText(key)} value: ${item(one)} }`
    );
  });
  return lines.join("\n");
}

function scalarText(value: unknown): string {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  if (!(bytes instanceof Uint8Array)) return String(value);
  return `"${[...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")}"`;
}

/** Calls `check` for all messages, a few at a time. */
async function forAll(check: (desc: DescMessage) => Promise<void>): Promise<void> {
  const rest = [...messages];
  const worker = async () => {
    for (let desc = rest.pop(); desc !== undefined; desc = rest.pop()) await check(desc);
  };
  await Promise.all([worker(), worker()]);
}

Deno.test("every message and service of the .proto files has its table", () => {
  assert.ok(messages.length > 180);
  assert.deepEqual([...schemas.keys()].sort(), messages.map((desc) => desc.typeName).sort());
  for (const desc of messages) {
    assert.deepEqual(
      schemaOf(desc).fields.map(([number, name]) => [number, name]),
      desc.fields.map((field) => [field.number, field.localName]),
    );
  }
  const wanted = [...descriptors].filter((desc) => desc.kind === "service");
  assert.deepEqual([...services.keys()].sort(), wanted.map((desc) => desc.typeName).sort());
  for (const desc of wanted) {
    const methods = Object.values(services.get(desc.typeName)?.methods ?? {});
    assert.deepEqual(
      methods.map(({ name, input, output }) => [name, input.typeName, output.typeName]),
      desc.methods.map((method) => [method.name, method.input.typeName, method.output.typeName]),
    );
  }
});

Deno.test("every message with all fields set is encoded as protoc does, and decoded from its bytes", async () => {
  await forAll(async (desc) => {
    const message = fill(desc, sample);
    const bytes = await protoc(
      [`--encode=${desc.typeName}`, desc.file.name + ".proto"],
      encodeText(desc, message),
    );
    assert.equal(toBinary(schemaOf(desc), message).toHex(), bytes.toHex(), desc.typeName);
    assert.deepEqual(fromBinary(schemaOf(desc), bytes), message, desc.typeName);
  });
});

Deno.test("protoc reads every message as it was meant", async () => {
  await forAll(async (desc) => {
    const message = fill(desc, sample);
    const file = desc.file.name + ".proto";
    const text = await protoc([`--decode=${desc.typeName}`, file], toBinary(schemaOf(desc), message));
    // back through protoc, since it has its own way to write text
    const bytes = await protoc([`--encode=${desc.typeName}`, file], text);
    assert.deepEqual(fromBinary(schemaOf(desc), bytes), message, desc.typeName);
  });
});

Deno.test("random messages are encoded and decoded as protobuf-es's reflection does", () => {
  for (const desc of messages) {
    fc.assert(
      fc.property(arbitraryMessage(desc), (message) => {
        const theirs = toBinaryReflected(desc, createReflected(desc, message as MessageShape<DescMessage>));
        assert.equal(toBinary(schemaOf(desc), message).toHex(), theirs.toHex());
        assert.deepEqual(
          fromBinary(schemaOf(desc), theirs),
          plain(fromBinaryReflected(desc, theirs)),
        );
      }),
      { numRuns: 10 },
    );
  }
});

Deno.test("random bytes are refused, or decoded as protobuf-es's reflection does", () => {
  const outcome = (decode: () => unknown): unknown => {
    try {
      return decode();
    } catch {
      return "refused";
    }
  };
  for (const desc of messages) {
    fc.assert(
      fc.property(arbitraryFields(desc), (bytes) => {
        const theirs = outcome(() => plain(fromBinaryReflected(desc, bytes)));
        assert.deepEqual(outcome(() => fromBinary(schemaOf(desc), bytes)), theirs);
      }),
      { numRuns: 20 },
    );
  }
});

function encodeText(desc: DescMessage, message: Record<string, unknown>): Uint8Array {
  return new TextEncoder().encode(textOf(desc, message));
}

function arbitraryMessage(desc: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const fields = desc.fields.map((field) => {
    const single = field.message ? arbitraryMessage(field.message) : arbitraryScalar(field);
    if (field.fieldKind === "list") return [field.localName, fc.array(single, { maxLength: 3 })] as const;
    if (field.fieldKind !== "map") return [field.localName, fc.option(single, { nil: undefined })] as const;
    const key = fc.string({ maxLength: 5 }).filter((name) => name !== "__proto__");
    return [field.localName, fc.dictionary(key, single, { maxKeys: 2, noNullPrototype: true })] as const;
  });
  return fc.record(Object.fromEntries(fields));
}

function arbitraryScalar(field: DescField): fc.Arbitrary<unknown> {
  if (field.enum) return fc.constantFrom(...field.enum.values.map((value) => value.number));
  switch (field.scalar) {
    case ScalarType.STRING:
      return fc.string({ maxLength: 200, unit: "grapheme" });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 200 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT32:
      return fc.integer();
    case ScalarType.UINT32:
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    default:
      return fc.double();
  }
}

/** Wire type of one value of a field. */
function wireType(field: DescField): number {
  if (field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES) return 2;
  return field.scalar === ScalarType.DOUBLE ? 1 : 0;
}

/** Bytes of a value: its wire type is right, a delimited one has any content. */
function arbitraryBody(wire: number): fc.Arbitrary<number[]> {
  const bytes = (size: fc.IntArrayConstraints) => fc.uint8Array(size).map((array) => [...array]);
  if (wire === 1) return bytes({ minLength: 8, maxLength: 8 });
  if (wire === 5) return bytes({ minLength: 4, maxLength: 4 });
  if (wire === 2) return bytes({ maxLength: 20 }).map((body) => [body.length, ...body]);
  return bytes({ minLength: 1, maxLength: 10 }).map((body) =>
    body.map((byte, i) => i < body.length - 1 ? byte | 0x80 : byte & 0x7f)
  );
}

/** Known and unknown fields of the message, the last of them cut short perhaps. */
function arbitraryFields(desc: DescMessage): fc.Arbitrary<Uint8Array> {
  // reflection takes a foreign wire type for the right one, and reads past the end of a packed list, so what is nested
  // is left out here
  const flat = desc.fields.filter((field) => !field.message && field.fieldKind !== "map");
  const known = flat.map((field) => ({ number: field.number, wire: wireType(field) }));
  const unknown = [0, 1, 2, 5].map((wire) => ({ number: 99, wire }));
  const field = fc.constantFrom(...known, ...unknown).chain(({ number, wire }) => {
    const tag = (number << 3) | wire;
    const head = tag < 128 ? [tag] : [(tag & 0x7f) | 0x80, tag >> 7];
    return arbitraryBody(wire).map((body) => [...head, ...body]);
  });
  return fc.tuple(fc.array(field, { maxLength: 4 }), fc.nat({ max: 3 })).map(([fields, cut]) => {
    const last = fields.at(-1) ?? [];
    return Uint8Array.from([...fields.slice(0, -1).flat(), ...last.slice(0, last.length - cut)]);
  });
}
