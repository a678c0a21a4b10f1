/** Settings by annotations of a sandbox: which are allowed, how their values are written. */

import { badSetting, ConfigError, type Origin } from "./error.ts";
import { matchesGlob } from "./glob.ts";
import { hostCpus } from "./host.ts";
import { type AnnotationRule, type AnyRow, BadValue, checkValue, oneOf, type Section } from "./key.ts";
import { type SectionName, SECTIONS } from "./schema.ts";
import type { Settings } from "./settings.ts";

const PREFIX = "io.katacontainers.config.";

/** Names the configuration file of a sandbox. */
export const CONFIG_PATH_ANNOTATION = "io.katacontainers.config_path";

/** One annotation that sets a key. */
interface Setting {
  readonly origin: Origin;
  readonly row: AnyRow;
  readonly key: string;
  readonly section: SectionName;
  readonly value: string;
}

/**
 * Applies annotations to the values of the file.
 *
 * Those of the hypervisor must be allowed by `enable_annotations`; all are checked before the first is applied.
 *
 * @returns names of annotations that have the form of a setting but are none that is known
 * @throws {ConfigError} for one that is not allowed, or has a value that its key cannot have
 */
export function applyAnnotations(
  settings: Settings,
  annotations: Readonly<Record<string, string>>,
): string[] {
  const found: Setting[] = [];
  const unknown: string[] = [];
  const allowed = settings.get("hypervisor", "enable_annotations") as readonly string[];
  for (const [name, value] of Object.entries(annotations)) {
    if (!name.startsWith(PREFIX)) continue;
    const [table = "", ...rest] = name.slice(PREFIX.length).split(".");
    const short = rest.join(".");
    if (table === "hypervisor" && !allowed.some((expression) => new RegExp(expression).test(short))) {
      throw new ConfigError(
        `annotation "${name}" is not enabled: no expression of enable_annotations matches it`,
      );
    }
    const setting = find(table, short, { where: "annotation", key: name }, value);
    if (setting === undefined) unknown.push(name);
    else found.push(setting);
  }
  refuseTwoRoots(found);
  for (const setting of found) apply(settings, setting);
  return unknown;
}

function find(table: string, short: string, origin: Origin, value: string): Setting | undefined {
  if (!Object.hasOwn(SECTIONS, table)) return undefined;
  const section = table as SectionName;
  const rows: Section = SECTIONS[section];
  for (const [key, row] of Object.entries(rows)) {
    if (row.annotation === undefined || !(row.annotation.names ?? [key]).includes(short)) continue;
    return { origin, row, key, section, value };
  }
  return undefined;
}

/** Initrd and image exclude each other, and one given by an annotation takes the place of whichever the file has. */
function refuseTwoRoots(found: readonly Setting[]): void {
  const roots = found.filter(({ section, key }) =>
    section === "hypervisor" && (key === "initrd" || key === "image")
  );
  if (roots.length > 1) throw new ConfigError("annotations cannot set both image and initrd");
}

function apply(settings: Settings, setting: Setting): void {
  const { row, key, section, value, origin } = setting;
  const rule = row.annotation ?? {};
  if (rule.ignoreEmpty && value === "") return;
  try {
    check(settings, setting, rule);
    const parsed = checkValue(row, parse(row, value));
    if ((key === "default_vcpus" || key === "default_maxvcpus") && Number(parsed) > hostCpus()) {
      throw new BadValue(`must be at most ${hostCpus()}, the number of the host's CPUs`);
    }
    const whole = rule.mode === "append" ? append(settings.get(section, key), parsed) : parsed;
    if (key === "initrd") settings.amend(section, "image", "");
    if (key === "image") settings.amend(section, "initrd", "");
    settings.set(section, key, whole, () => origin);
  } catch (error) {
    if (error instanceof BadValue) throw badSetting(origin, value, error.message);
    throw error;
  }
}

/** Rules that hold for a value only because it is an annotation's. */
function check(settings: Settings, { row, section, value }: Setting, rule: AnnotationRule): void {
  if (rule.allowed !== undefined && !rule.allowed.includes(value)) {
    throw new BadValue(`must be ${oneOf(rule.allowed)}`);
  }
  if (rule.within !== undefined) {
    requireValid(value, rule.within, settings.get(section, rule.within) as readonly string[]);
  } else if (row.path && value !== "" && !value.startsWith("/")) {
    throw new BadValue("must be an absolute path");
  }
}

/** Text of an annotation as a value of the row's type. */
function parse(row: AnyRow, value: string): unknown {
  switch (row.type) {
    case "string":
      return value;
    case "boolean":
      if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
      if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
      throw new BadValue('must be "true" or "false"');
    case "integer":
      if (!/^[0-9]+$/.test(value)) throw new BadValue("must be a number without sign");
      return Number(value);
    case "float":
      if (!/^[0-9]+(\.[0-9]+)?$/.test(value)) throw new BadValue("must be a number without sign");
      return Number(value);
    case "array of strings":
      return row.annotation?.list === "json"
        ? parseJsonList(value)
        : parseList(value, row.annotation?.list ?? ";");
  }
}

function parseList(value: string, separator: string): string[] {
  return value.split(separator).map((item) => item.trim()).filter((item) => item !== "");
}

function parseJsonList(value: string): string[] {
  try {
    const list: unknown = JSON.parse(value);
    if (Array.isArray(list) && list.every((item) => typeof item === "string")) return list;
  } catch {
    // said below
  }
  throw new BadValue("must be a JSON array of strings");
}

function append(before: unknown, more: unknown): unknown {
  if (Array.isArray(before)) return [...before, ...more as string[]];
  return [before, more].filter((text) => text !== "").join(" ");
}

/** The value must be an existing file that one of the patterns stands for. */
function requireValid(value: string, listName: string, patterns: readonly string[]): void {
  if (!value.startsWith("/")) throw new BadValue("must be an absolute path");
  if (patterns.some((pattern) => matchesGlob(pattern, value)) && exists(value)) return;
  throw new BadValue(`must be an existing file that ${listName} allows`);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
