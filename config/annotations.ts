/** Settings by annotations of a sandbox: which are allowed, how their values are written. */

import type { Origin, Report } from "./error.ts";
import { matchesGlob } from "./glob.ts";
import { hostCpus } from "./host.ts";
import { type AnnotationRule, type AnyRow, BadValue, checkValue, oneOf, type Section } from "./key.ts";
import { nearest } from "./nearest.ts";
import { type SectionName, SECTIONS } from "./schema.ts";
import type { Settings } from "./settings.ts";
import { exists } from "../sys/exists.ts";

const PREFIX = "io.katacontainers.config.";

/** Annotations with this prefix must be allowed by `enable_annotations`. */
const GUARDED = `${PREFIX}hypervisor.`;

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
 */
export function applyAnnotations(
  settings: Settings,
  annotations: Readonly<Record<string, string>>,
  report: Report,
): void {
  if (!Object.keys(annotations).some((name) => name.startsWith("io.katacontainers."))) return;
  const found: Setting[] = [];
  const allowed = (settings.get("hypervisor", "enable_annotations") as readonly string[])
    .map((expression) => new RegExp(expression));
  for (const [name, value] of Object.entries(annotations)) {
    const known = NAMES.get(name);
    const origin: Origin = { kind: "annotation", where: "annotation", key: name };
    const short = name.startsWith(GUARDED) ? name.slice(GUARDED.length) : undefined;
    if (short !== undefined && !allowed.some((expression) => expression.test(short))) {
      report.badKey(origin, "is not enabled: no expression of enable_annotations matches it");
    } else if (known !== undefined) found.push({ ...known, origin, value });
    else if (isSetting(name)) reportUnknown(name, origin, report);
  }
  refuseTwoRoots(found, report);
  for (const setting of found) apply(settings, setting, report);
}

/** Tables of the file, which names of annotations have behind the prefix, or by mistake in its place. */
const TABLE = new RegExp(`^io\\.katacontainers\\.(${Object.keys(SECTIONS).join("|")})\\.`);

function isSetting(name: string): boolean {
  return name.startsWith(PREFIX) || TABLE.test(name);
}

function reportUnknown(name: string, origin: Origin, report: Report): void {
  const [section = "", key = ""] = name.slice(PREFIX.length).split(".");
  const rows: Section = Object.hasOwn(SECTIONS, section) ? SECTIONS[section as SectionName] : {};
  if (name.startsWith(PREFIX) && Object.hasOwn(rows, key)) {
    report.doubtfulKey(origin, "has no effect: only a configuration file can set this key");
    return;
  }
  const problem = "is not a known annotation and has no effect";
  const full = name.replace(TABLE, `${PREFIX}$1.`);
  const near = full !== name && NAMES.has(full) ? full : nearestName(full, [...NAMES.keys()]);
  report.doubtfulKey(origin, problem, near);
}

/** What each annotation sets, by its name. */
const NAMES: ReadonlyMap<string, Pick<Setting, "section" | "key" | "row">> = knownNames();

/** The likely intended name: the last part is compared, in the same table, or else the table. */
function nearestName(name: string, names: readonly string[]): string | undefined {
  const table = name.slice(0, name.lastIndexOf(".") + 1);
  const short = name.slice(table.length);
  const own = names.filter((known) => known.startsWith(table)).map((known) => known.slice(table.length));
  const near = nearest(short, own);
  if (near !== undefined) return table + near;
  return names.find((known) => known.endsWith(`.${short}`));
}

function knownNames(): Map<string, Pick<Setting, "section" | "key" | "row">> {
  const names = new Map<string, Pick<Setting, "section" | "key" | "row">>();
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    for (const [key, row] of Object.entries<AnyRow>(SECTIONS[section])) {
      for (const name of annotationNames(section, key, row)) names.set(name, { section, key, row });
    }
  }
  return names;
}

/** Names of the annotations that set a key; the first is the usual one. */
export function annotationNames(section: SectionName, key: string, { annotation }: AnyRow): string[] {
  if (annotation === undefined) return [];
  const names = (annotation.names ?? [key]).map((name) => `${PREFIX}${section}.${name}`);
  return annotation.alias === undefined ? names : [...names, annotation.alias];
}

/** Initrd and image exclude each other, and one given by an annotation takes the place of whichever the file has. */
function refuseTwoRoots(found: readonly Setting[], report: Report): void {
  const isRoot = ({ section, key }: Setting) =>
    section === "hypervisor" && (key === "initrd" || key === "image");
  const [first, second] = found.filter(isRoot);
  if (first === undefined || second === undefined) return;
  report.badKey(second.origin, `cannot be set together with ${first.origin.key}`);
}

function apply(settings: Settings, setting: Setting, report: Report): void {
  const { row, key, section, value, origin } = setting;
  const rule = row.annotation ?? {};
  if ((rule.ignoreEmpty && value === "") || (rule.ignoreZero && value === "0")) return;
  try {
    check(settings, setting, rule);
    const parsed = checkValue(rule.refuseUnset ? { ...row, unset: undefined } : row, parse(row, value));
    if ((key === "default_vcpus" || key === "default_maxvcpus") && Number(parsed) > hostCpus()) {
      throw new BadValue(`must be at most ${hostCpus()}, the number of the host's CPUs`);
    }
    const whole = rule.mode === "append" ? append(settings.get(section, key), parsed) : parsed;
    const replaced = REPLACED[key];
    if (replaced !== undefined) settings.amend(section, replaced.key, replaced.value);
    settings.set(section, key, whole, () => origin);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    report.bad(origin, value, error.message, error.near);
    settings.breakKey(section, key);
  }
}

/** What becomes of the other of two keys when an annotation sets the first. */
const REPLACED: Readonly<Record<string, { readonly key: string; readonly value: string }>> = {
  initrd: { key: "image", value: "" },
  image: { key: "initrd", value: "" },
  hot_plug_vfio: { key: "cold_plug_vfio", value: "no-port" },
  cold_plug_vfio: { key: "hot_plug_vfio", value: "no-port" },
};

/** Rules that hold for a value only because it is an annotation's. */
function check(settings: Settings, { row, section, value }: Setting, rule: AnnotationRule): void {
  if (rule.allowed !== undefined && !rule.allowed.includes(value)) {
    throw new BadValue(`must be ${oneOf(rule.allowed)}`, nearest(value, rule.allowed));
  }
  // it would take away what the file has in its place
  if (value === "" && rule.needed) throw new BadValue("must name a file");
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
      if (!/^[0-9]+$/.test(value)) throw new BadValue("must be a whole number in decimal digits");
      return Number(value);
    case "float":
      if (!/^[0-9]+(\.[0-9]+)?$/.test(value)) {
        throw new BadValue('must be a number in decimal digits, such as "1.5"');
      }
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
