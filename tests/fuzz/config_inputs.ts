/** Random configurations: valid ones, valid ones with mistakes in them, and noise. */

import fc from "fast-check";
import { annotationNames } from "../../config/annotations.ts";
import type { AnyRow } from "../../config/key.ts";
import { type SectionName, SECTIONS, tableName } from "../../config/schema.ts";
import { entriesOf } from "../../config/texts/all.ts";

const SECTION_NAMES = Object.keys(SECTIONS) as SectionName[];

const ROWS: readonly { section: SectionName; key: string; row: AnyRow }[] = SECTION_NAMES.flatMap((section) =>
  Object.entries<AnyRow>(SECTIONS[section]).map(([key, row]) => ({ section, key, row }))
);

/** Names of all annotations. */
export const ANNOTATIONS: readonly string[] = ROWS.flatMap(({ section, key, row }) =>
  annotationNames(section, key, row)
);

/** Values that some key of some configuration may have, right or wrong. */
const LITERALS = [
  ...[
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "256",
    "4096",
    "1.5",
    "-0.0",
    "nan",
    "inf",
    "1e400",
    "0xff",
    "1_000",
  ],
  ...["9007199254740993", "99999999999999999999", "1979-05-27", "07:32:00", "[]", "{}", "[[]]", '["a", 1]'],
  ...[
    '""',
    "''",
    '"a"',
    '"/etc/hostname"',
    '"/no/where"',
    '"\\u0000"',
    '"a\\nb"',
    '["(", ".*"]',
    '["/tmp/*"]',
  ],
  ...[
    '"virtio-9p"',
    '"none"',
    '"root-port"',
    '"q35"',
    '"__proto__"',
    '"toString"',
    "{ a = 1 }",
    '"""',
    "[1,\n2]",
  ],
  ...['"=x y=1 \\"a b\\""', '"../.."', '"🦕"', `"${"x".repeat(5000)}"`, `[${'"x",'.repeat(300)}]`],
];

const SPECIAL = ["__proto__", "constructor", "toString", '"a b"', '"\\n"', "a.b", "default_memroy", '""'];

const literal = fc.constantFrom(...LITERALS);

const examples = new Map(
  SECTION_NAMES.flatMap(entriesOf).map(({ section, key, example, shipped }) =>
    [`${section}.${key}`, shipped ?? example] as const
  ),
);

/** A value that a row takes, as TOML. */
function validValue({ section, key, row }: (typeof ROWS)[number]): fc.Arbitrary<string> {
  const example = examples.get(`${section}.${key}`);
  if (row.allowed !== undefined) return fc.constantFrom(...row.allowed.map((value) => JSON.stringify(value)));
  switch (row.type) {
    case "boolean":
      return fc.constantFrom("true", "false");
    case "integer":
      return fc.integer({ min: row.min ?? 0, max: Math.min(row.max ?? 100_000, 100_000) }).map(String);
    case "float":
      return fc.constantFrom("0", "1", "0.5", "2");
    case "string":
      return fc.constantFrom(example ?? '""', '""');
    case "array of strings":
      return fc.constantFrom(example ?? "[]", "[]");
  }
}

/** Lines of keys, by section. */
const lines = fc.array(
  fc.constantFrom(...ROWS).chain((row) =>
    fc.tuple(
      fc.constant(row),
      fc.oneof({ arbitrary: validValue(row), weight: 4 }, { arbitrary: literal, weight: 1 }),
    )
  ),
  { maxLength: 12 },
);

const BASE = ['path = "/bin/sh"', 'kernel = "/bin/sh"', 'initrd = "/etc/passwd"', 'shared_fs = "virtio-9p"'];

/** A file that is right for the most part: keys in their tables, most with values that they take. */
export const likelyFile: fc.Arbitrary<string> = fc.tuple(lines, fc.boolean()).map(([keys, hasBase]) => {
  const text: string[] = [];
  for (const section of SECTION_NAMES) {
    const own = new Map(
      keys.filter(([row]) => row.section === section).map(([row, value]) => [row.key, value]),
    );
    const fixed = section === "hypervisor" && hasBase ? BASE : [];
    if (own.size === 0 && fixed.length === 0) continue;
    text.push(`[${tableName(section, "qemu")}]`);
    text.push(...fixed.filter((line) => !own.has(line.split(" ")[0] ?? "")));
    for (const [key, value] of own) text.push(`${key} = ${value}`);
  }
  return text.join("\n");
});

/** A change of a text, as a slip or a broken disk makes it. */
const change = fc.record({
  kind: fc.constantFrom("char", "cut", "line", "swap", "literal", "token", "repeat"),
  at: fc.nat(),
  other: fc.nat(),
  literal,
  token: fc.constantFrom(
    "[",
    "]",
    "=",
    '"',
    "'",
    "\n",
    "#",
    ",",
    "{",
    "}",
    ".",
    "\0",
    "\\",
    '"""',
    ...SPECIAL,
  ),
});

/** A file with a few slips. */
export const brokenFile: fc.Arbitrary<string> = fc.tuple(
  likelyFile,
  fc.array(change, { minLength: 1, maxLength: 4 }),
).map(([text, changes]) => changes.reduce(applyChange, text));

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function applyChange(text: string, { kind, at, other, literal, token }: Change): string {
  const point = text.length === 0 ? 0 : at % text.length;
  const all = text.split("\n");
  const line = at % all.length;
  switch (kind) {
    case "char":
      return text.slice(0, point) + String.fromCharCode(other % 0x250) + text.slice(point + 1);
    case "cut":
      return text.slice(0, point) + text.slice(point + other % 20);
    case "line":
      return all.filter((_, index) => index !== line).join("\n");
    case "repeat":
      return [...all, all[line]].join("\n");
    case "swap":
      return all.map((own, index) => index === line ? all[other % all.length] : own).join("\n");
    case "literal":
      return all.map((own, index) => index === line ? own.replace(/=.*/, () => `= ${literal}`) : own).join(
        "\n",
      );
    case "token":
      return text.slice(0, point) + token + text.slice(point);
  }
}

/** Nothing but noise, of TOML's own words. */
export const noise: fc.Arbitrary<string> = fc.array(
  fc.oneof(
    fc.constantFrom("[", "]", "=", ".", "\n", "{", "}", ",", '"', "'", "#", ...SPECIAL),
    fc.constantFrom("hypervisor", "qemu", "runtime", "agent", "kata", "factory", "image", "kernel", "path"),
    literal,
    fc.string({ unit: "binary", maxLength: 4 }),
  ),
  { maxLength: 30 },
).map((words) => words.join(""));

/** Text of an annotation: of a value that some key takes, or anything. */
const annotationText = fc.oneof(
  literal.map((text) => text.replace(/^"(.*)"$/s, "$1")),
  fc.constantFrom(
    "512",
    "1",
    "true",
    "T",
    "0",
    "virtio-9p",
    "macvtap",
    "a=1 b",
    "YQ==",
    "/bin/sh",
    '["a"]',
    "a;b",
  ),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 8 }),
);

const annotationName = fc.oneof(
  { arbitrary: fc.constantFrom(...ANNOTATIONS), weight: 6 },
  {
    arbitrary: fc.tuple(
      fc.constantFrom(...ANNOTATIONS),
      fc.nat(),
      fc.string({ unit: "binary", maxLength: 2 }),
    )
      .map(([name, at, text]) => name.slice(0, at % name.length) + text + name.slice(at % name.length + 1)),
    weight: 2,
  },
  {
    arbitrary: fc.constantFrom(
      "io.katacontainers.config.",
      "io.katacontainers.config.hypervisor.",
      "io.katacontainers.config.hypervisor.__proto__",
      "io.katacontainers.config.toString.x",
      "io.katacontainers.container.resource.swappiness",
      "io.kubernetes.cri.container-type",
      "__proto__",
    ),
    weight: 1,
  },
);

/** Annotations of a pod. */
export const annotations: fc.Arbitrary<Record<string, string>> = fc.array(
  fc.tuple(annotationName, annotationText),
  {
    minLength: 1,
    maxLength: 6,
  },
).map((entries) => Object.fromEntries(entries));
