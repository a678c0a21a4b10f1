/**
 * `kata-runtime config show`
 *
 * @module
 */

import { type Section, shownValue } from "../../../config/key.ts";
import type { Examined } from "../../../config/load.ts";
import { type SectionName, SECTIONS, tableName } from "../../../config/schema.ts";
import type { AppContext } from "../app.ts";
import type { ConfigFlags } from "./command.ts";
import { examine } from "./examine.ts";

/** One value, and where it comes from. */
interface Shown {
  readonly value: unknown;
  readonly source: "default" | "file" | "drop-in" | "annotation";
  readonly file?: string;
  readonly line?: number;
  /** Name of the annotation. */
  readonly annotation?: string;
}

/** Prints all values; mistakes go to standard error, and the exit code then is 1. */
export async function show(this: AppContext, flags: ConfigFlags, file?: string): Promise<void> {
  const examined = await examine(flags, this.globals, file);
  const { stdout, stderr } = this.process;
  stdout.write(flags.json ? asJson(examined) : asText(examined));
  for (const { severity, text } of examined.report.mistakes) stderr.write(`${severity}: ${text}\n`);
  if (examined.report.errors.length > 0) this.process.exitCode = 1;
}

function asJson(examined: Examined): string {
  const values: Record<string, Shown> = {};
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    for (const [key, shown] of valuesOf(examined, section)) {
      values[`${tableName(section, examined.settings.name)}.${key}`] = shown;
    }
  }
  const { path, dropIns } = examined;
  return `${JSON.stringify({ path, dropIns, values }, null, 2)}\n`;
}

/** Column that remarks begin at, where values leave room for it. */
const REMARKS = 48;

function asText(examined: Examined): string {
  const lines = [`# ${examined.path}`, ...examined.dropIns.map((file) => `# ${file}`)];
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    lines.push("", `[${tableName(section, examined.settings.name)}]`);
    for (const [key, { value, source, file, line, annotation }] of valuesOf(examined, section)) {
      const place = file === undefined ? annotation ?? source : line === undefined ? file : `${file}:${line}`;
      lines.push(`${`${key} = ${JSON.stringify(value)}`.padEnd(REMARKS)} # ${place}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function valuesOf({ settings }: Examined, section: SectionName): [key: string, shown: Shown][] {
  const rows: Section = SECTIONS[section];
  return Object.entries(rows)
    .filter(([key, row]) => !row.annotationOnly || settings.isSet(section, key))
    .map(([key, row]) => {
      const { kind, file, line, key: name } = settings.origin(section, key);
      return [key, {
        value: shownValue(row, settings.get(section, key)),
        source: kind,
        ...(kind === "file" || kind === "drop-in" ? { file, line } : {}),
        ...(kind === "annotation" ? { annotation: name } : {}),
      }];
    });
}
