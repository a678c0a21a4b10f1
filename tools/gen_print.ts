/** Prints one generated file of `rpc/gen`: types, enums, message tables and services of a .proto file. */

import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  ScalarType,
} from "@bufbuild/protobuf";
import { dirname, relative } from "node:path";

const SCALARS: Partial<Record<ScalarType, { table: string; type: string }>> = {
  [ScalarType.STRING]: { table: "string", type: "string" },
  [ScalarType.BYTES]: { table: "bytes", type: "Uint8Array" },
  [ScalarType.BOOL]: { table: "bool", type: "boolean" },
  [ScalarType.INT32]: { table: "int32", type: "number" },
  [ScalarType.UINT32]: { table: "uint32", type: "number" },
  [ScalarType.INT64]: { table: "int64", type: "bigint" },
  [ScalarType.UINT64]: { table: "uint64", type: "bigint" },
  [ScalarType.DOUBLE]: { table: "double", type: "number" },
};

/** Numbers of descriptor.proto by which source comments are addressed. */
const IN_FILE = { message: 4, enum: 5, service: 6 };
const IN_MESSAGE = { field: 2, nested: 3, enum: 4 };

/** @throws {Error} for anything of the language that `rpc/message.ts` does not know */
export function printFile(file: DescFile): string {
  return new Printer(file).print();
}

class Printer {
  readonly #file: DescFile;
  readonly #comments = new Map<string, string>();
  readonly #lines: string[] = [];
  /** names by the path of the generated file that has them */
  readonly #values = new Map<string, Set<string>>();
  readonly #types = new Map<string, Set<string>>();

  constructor(file: DescFile) {
    this.#file = file;
    for (const { path, leadingComments } of file.proto.sourceCodeInfo?.location ?? []) {
      if (leadingComments) this.#comments.set(path.join("."), leadingComments.trimEnd());
    }
  }

  print(): string {
    this.#file.enums.forEach((e, i) => this.#enum(e, [IN_FILE.enum, i]));
    this.#file.messages.forEach((m, i) => this.#message(m, [IN_FILE.message, i]));
    this.#file.services.forEach((s, i) => this.#service(s, [IN_FILE.service, i]));
    const header = [
      `// Generated from ${this.#file.name}.proto by "deno task gen". Do not edit.`,
      "// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.",
      "",
      ...this.#imports(),
      "",
    ];
    return [...header, ...this.#lines].join("\n");
  }

  #enum(desc: DescEnum, path: number[]): void {
    this.#doc(path, "");
    this.#lines.push(`export enum ${localName(desc)} {`);
    desc.values.forEach((value, i) => {
      this.#doc([...path, IN_MESSAGE.field, i], "  ");
      this.#lines.push(`  ${value.localName} = ${value.number},`);
    });
    this.#lines.push("}", "");
  }

  #message(desc: DescMessage, path: number[]): void {
    desc.nestedEnums.forEach((e, i) => this.#enum(e, [...path, IN_MESSAGE.enum, i]));
    desc.nestedMessages.forEach((m, i) => this.#message(m, [...path, IN_MESSAGE.nested, i]));
    const name = localName(desc);
    this.#doc(path, "");
    if (desc.fields.length === 0) this.#lines.push(`export type ${name} = Record<never, never>;`, "");
    else {
      this.#lines.push(`export interface ${name} {`);
      desc.fields.forEach((field, i) => {
        this.#doc([...path, IN_MESSAGE.field, i], "  ");
        this.#lines.push(`  ${field.localName}${this.#typeOf(field)};`);
      });
      this.#lines.push("}", "");
    }
    const rows = desc.fields.map((field) => `  ${this.#row(field)},`);
    const head = `export const ${name}Schema: Schema<${name}> = message("${desc.typeName}", () => [`;
    this.#use("message.ts", "message");
    this.#use("message.ts", "Schema", true);
    this.#lines.push(...(rows.length === 0 ? [`${head}]);`] : [head, ...rows, "]);"]), "");
  }

  #typeOf(field: DescField): string {
    switch (field.fieldKind) {
      case "scalar":
      case "enum": {
        const type = this.#single(field);
        return field.proto.proto3Optional ? `?: ${type}` : `: ${type}`;
      }
      case "message":
        return `?: ${this.#single(field)}`;
      case "list":
        return `: ${this.#single(field)}[]`;
      case "map":
        return `: { [key: string]: ${this.#single(field)} }`;
    }
  }

  /** The type of one value of the field. */
  #single(field: DescField): string {
    if (field.message) return this.#ref(field.message, localName(field.message), true);
    if (field.enum) return this.#ref(field.enum, localName(field.enum), true);
    return scalar(field).type;
  }

  #row(field: DescField): string {
    if (field.oneof) throw new Error(`${field.parent.typeName}.${field.name}: oneof is not supported`);
    const type = field.message
      ? this.#ref(field.message, `${localName(field.message)}Schema`)
      : field.enum
      ? '"enum"'
      : `"${scalar(field).table}"`;
    const cardinality = field.fieldKind === "list"
      ? ', "repeated"'
      : field.fieldKind === "map"
      ? ', "map"'
      : field.proto.proto3Optional
      ? ', "optional"'
      : "";
    if (field.fieldKind === "map" && field.mapKey !== ScalarType.STRING) {
      throw new Error(`${field.parent.typeName}.${field.name}: only maps from string are supported`);
    }
    return `[${field.number}, "${field.localName}", ${type}${cardinality}]`;
  }

  #service(desc: DescService, path: number[]): void {
    this.#use("service.ts", "service");
    this.#doc(path, "");
    this.#lines.push(`export const ${desc.name} = service("${desc.typeName}", {`);
    desc.methods.forEach((method, i) => {
      this.#doc([...path, IN_MESSAGE.field, i], "  ");
      this.#lines.push(`  ${method.localName}: ${this.#method(method)},`);
    });
    this.#lines.push("});", "");
  }

  #method(method: DescMethod): string {
    const schemas = [method.input, method.output].map((m) => this.#ref(m, `${localName(m)}Schema`)).join(
      ", ",
    );
    if (method.methodKind === "unary") {
      this.#use("service.ts", "unary");
      return `unary("${method.name}", ${schemas})`;
    }
    this.#use("service.ts", "streaming");
    const kind = {
      server_streaming: "server-stream",
      client_streaming: "client-stream",
      bidi_streaming: "bidi",
    };
    return `streaming("${method.name}", "${kind[method.methodKind]}", ${schemas})`;
  }

  /** Remembers that `name` of the other's file is needed. @returns the name */
  #ref(other: DescMessage | DescEnum, name: string, typeOnly = false): string {
    if (other.file !== this.#file) this.#use(`gen/${other.file.name}_pb.ts`, name, typeOnly);
    return name;
  }

  /** @param path relative to rpc/ */
  #use(path: string, name: string, typeOnly = false): void {
    const kind = typeOnly ? this.#types : this.#values;
    kind.set(path, (kind.get(path) ?? new Set()).add(name));
  }

  #imports(): string[] {
    const here = dirname(`gen/${this.#file.name}`);
    const paths = [...new Set([...this.#values.keys(), ...this.#types.keys()])].sort();
    return paths.map((path) => {
      const values = [...this.#values.get(path) ?? []];
      const types = [...this.#types.get(path) ?? []].map((name) => `type ${name}`);
      const from = relative(here, path);
      return `import { ${[...types, ...values].join(", ")} } from "${
        from.startsWith(".") ? from : `./${from}`
      }";`;
    });
  }

  #doc(path: number[], indent: string): void {
    const text = this.#comments.get(path.join("."));
    if (text === undefined) return;
    const lines = text.split("\n").map((line) => line.trim());
    if (lines.length === 1) this.#lines.push(`${indent}/** ${lines[0]} */`);
    else this.#lines.push(`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`), `${indent} */`);
  }
}

/** Name in TypeScript: a nested type carries its parents' names. */
function localName(desc: DescMessage | DescEnum): string {
  return desc.parent ? `${localName(desc.parent)}_${desc.name}` : desc.name;
}

function scalar(field: DescField): { table: string; type: string } {
  const kind = field.scalar === undefined ? undefined : SCALARS[field.scalar];
  if (!kind) throw new Error(`${field.parent.typeName}.${field.name}: type is not supported`);
  return kind;
}
