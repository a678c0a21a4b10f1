/**
 * The fields of the OCI runtime specification as `oci/spec.ts` has them, and the rows of docs/oci.md.
 *
 * @module
 */

/** An interface: its fields with their types. */
type Interfaces = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Interfaces of a module's text, of the plain form that data types have. */
function interfacesOf(source: string): Interfaces {
  const found = new Map<string, Map<string, string>>();
  for (const [, name = "", body = ""] of source.matchAll(/^export interface (\w+) \{\n(.*?)^\}$/gms)) {
    found.set(name, fieldsOf(body));
  }
  return found;
}

function fieldsOf(body: string): Map<string, string> {
  const code = body.replaceAll(/\/\*\*.*?\*\//gs, "");
  return new Map(
    [...code.matchAll(/(\w+)\??: ((?:\{[^}]*\}|[^;{}])+)/g)].map((
      [, name = "", type = ""],
    ) => [name, type.trim()]),
  );
}

/**
 * JSON paths of all fields that are no objects themselves, as `linux.devices[].path`; the value of a map is `.*`.
 *
 * @param source text of `oci/spec.ts`
 */
export function specFields(source: string): string[] {
  const interfaces = interfacesOf(source);
  const walk = (type: string, path: string): string[] => {
    const list = /^(.*)\[\]$/s.exec(type)?.[1];
    if (list !== undefined) return walk(list, `${path}[]`);
    const value = /^Record<string, (.*)>$/s.exec(type)?.[1];
    if (value !== undefined) {
      return value === "unknown" || value === "string" ? [path] : walk(value, `${path}.*`);
    }
    const fields = type.startsWith("{") ? fieldsOf(type) : interfaces.get(type);
    if (!fields || fields.size === 0) return [path.replace(/\[\]$/, "")];
    return [...fields].flatMap(([name, of]) => walk(of, path === "" ? name : `${path}.${name}`));
  };
  return walk("Spec", "");
}

/** A row of the table. */
export interface FieldRow {
  readonly field: string;
  readonly state: string;
  /** file and name of each test */
  readonly tests: readonly { readonly file: string; readonly name: string }[];
}

/** The rows of the tables in docs/oci.md: field, state, tests. */
export function documentedFields(document: string): FieldRow[] {
  return [...document.matchAll(/^\| `([^`]+)` +\| (.*?) +\| (.*?) +\|$/gm)].map((
    [, field = "", state = "", tests = ""],
  ) => ({
    field,
    state,
    tests: [...tests.matchAll(/\[([^\]]+)\]\(\.\.\/([^)]+)\)/g)].map(([, name = "", file = ""]) => ({
      name,
      file,
    })),
  }));
}
