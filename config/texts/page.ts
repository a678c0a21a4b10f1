/** docs/configuration.md: every key for people who read. */

import { type SectionName, tableName } from "../schema.ts";
import { defaultText, entriesOf, type Entry, TABLE_DOCS, valuesInWords } from "./all.ts";

/** Paragraphs are one line each: the formatter breaks them, and code must not be broken. */
const HEAD = [
  "# Configuration",
  '<!-- Printed by "deno task docs" from config/schema/ and config/texts/: change those. -->',
  "The keys of `configuration.toml` and the annotations of a pod, with what each of them changes. " +
  "`kata-runtime config default` prints a file with all of them; `kata-runtime config check` reports all " +
  "mistakes at once; `kata-runtime config show` prints the effective values, and where each comes from.",
  "## Where it comes from",
  "The main file is the first of: the annotation `io.katacontainers.config_path`; `--config`, or the `ConfigPath` of " +
  "containerd's options; the environment variable `KATA_CONF_FILE`; `/etc/kata-containers/configuration.toml`; " +
  "`/usr/share/defaults/kata-containers/configuration.toml`; `configuration.toml` beside the executable. Links are " +
  "resolved, and relative paths start at the folder of the file. What the annotation names must stand in the folder of " +
  "one of the others: a pod chooses among the administrator's files, and cannot bring its own.",
  "Files in `config.d/` beside it override it key by key, in the byte order of their names; lists are replaced. " +
  "Annotations override both. Those of the hypervisor must be accepted by an expression of `enable_annotations`; a path " +
  "that a `valid_…` list guards must be an existing file that a pattern of the list matches.",
  "An unknown key has no effect and is reported as a warning; in `[hypervisor.…]` and `[agent.…]` of a drop-in it " +
  "is a mistake. Annotations are written as in the file, without quotes; lists as their key says; `true` and `false` " +
  "also as `1` and `0`.",
  "",
].join("\n\n");

/** The page, as the formatter leaves it. */
export function configurationPage(): string {
  const sections: SectionName[] = ["hypervisor", "runtime", "agent", "factory"];
  return [HEAD, ...sections.map(sectionText)].join("\n");
}

function sectionText(section: SectionName): string {
  const parts = [`## [${tableName(section, "qemu")}]\n\n${TABLE_DOCS[section]}\n`];
  for (const entry of entriesOf(section)) {
    if (entry.group !== undefined) parts.push(`### ${entry.group}\n`);
    parts.push(keyText(entry));
  }
  return parts.join("\n");
}

function keyText(entry: Entry): string {
  const { key, doc, effect, row, annotations, example, shipped } = entry;
  const facts = [
    `Value: ${valuesInWords(row)}.${
      row.annotationOnly ? " By annotation only." : ` Default: \`${defaultText(entry)}\`.`
    }`,
    `Changes: ${effect}.`,
    ...annotations.map((name) => `Annotation: \`${name}\`.`),
    ...(example === undefined ? [] : [`Example: \`${key} = ${example}\`.`]),
    ...(shipped === undefined ? [] : [`In the default file: \`${key} = ${shipped}\`.`]),
    ...(row.missing === undefined ? [] : [`Not in this version: ${row.missing.why}.`]),
  ];
  return `#### \`${key}\`\n\n${doc}\n\n${facts.map((fact) => `- ${fact}`).join("\n")}\n`;
}
