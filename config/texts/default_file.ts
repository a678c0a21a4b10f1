/** The commented configuration file: every key, with its default behind a comment sign. */

import { type SectionName, tableName } from "../schema.ts";
import { defaultText, entriesOf, type Entry, TABLE_DOCS, valuesInWords } from "./all.ts";

/** Values of keys that the file sets, as TOML, by `section.key`; default: those that come with the program. */
export type Chosen = Readonly<Record<string, string>>;

const HEAD = `# Configuration of kata-runtime and containerd-shim-kata-v2.
#
# Each key stands below with its default behind a comment sign; what has none is set. Relative paths start at
# this file's folder. Files in the folder config.d beside this one are laid over it, in the order of their names;
# annotations of a pod come on top, those of the hypervisor where enable_annotations accepts them.
#
#   kata-runtime config check    finds mistakes
#   kata-runtime config show     prints what counts, and where it comes from
`;

const WIDTH = 100;

/** The file's text. */
export function defaultFile(chosen: Chosen = {}): string {
  const sections: SectionName[] = ["hypervisor", "runtime", "agent", "factory"];
  return [HEAD, ...sections.map((section) => sectionText(section, chosen))].join("\n");
}

function sectionText(section: SectionName, chosen: Chosen): string {
  const lines = [...comment(TABLE_DOCS[section]), `[${tableName(section, "qemu")}]`, ""];
  for (const entry of entriesOf(section)) {
    if (entry.group !== undefined) lines.push(...heading(entry.group));
    if (!entry.row.annotationOnly) lines.push(...keyText(entry, chosen), "");
  }
  return lines.join("\n");
}

function heading(group: string): string[] {
  return [`# --- ${group} ${"-".repeat(WIDTH - group.length - 7)}`, ""];
}

function keyText(entry: Entry, chosen: Chosen): string[] {
  const { section, key, doc, row, annotations, shipped, example } = entry;
  const value = chosen[`${section}.${key}`] ?? shipped;
  const standard = defaultText(entry);
  const nothing = standard === '""' || standard === "[]";
  const said = row.type === "boolean" || (row.type === "string" && row.allowed === undefined);
  const values = said ? "" : ` Value: ${valuesInWords(row)}.`;
  const shown = value !== undefined && !nothing ? ` Default: ${standard}.` : "";
  return [
    ...comment(doc + values + shown),
    ...(row.missing === undefined ? [] : comment(`Not in this version: ${row.missing.why}.`)),
    ...annotations.slice(0, 1).flatMap((name) => comment(`Annotation: ${name}`)),
    value !== undefined ? `${key} = ${value}` : `# ${key} = ${nothing ? example ?? standard : standard}`,
  ];
}

/** Lines that are no wider than the file. */
function comment(text: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > WIDTH && line !== "#") {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
