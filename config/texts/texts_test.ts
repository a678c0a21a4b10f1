import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { annotationNames } from "../annotations.ts";
import { examineConfig, loadConfig } from "../load.ts";
import { checkValue, defaultOf, readValue } from "../key.ts";
import { type SectionName, SECTIONS, tableName } from "../schema.ts";
import { inFolder } from "../test_files.ts";
import { entriesOf, type Entry } from "./all.ts";
import { defaultFile } from "./default_file.ts";
import { configurationPage } from "./page.ts";

const SECTION_NAMES = Object.keys(SECTIONS) as SectionName[];
const ENTRIES: readonly Entry[] = SECTION_NAMES.flatMap(entriesOf);
const DEFAULT = parse(defaultFile());

const lines = async (name: string): Promise<string[]> =>
  (await Deno.readTextFile(new URL(`../testdata/${name}`, import.meta.url))).trim().split("\n");

/** Of keys that are settings of one monitor only, and have no table here. */
const OF_OTHERS = ["io.katacontainers.config.hypervisor.jailer_path"];

Deno.test("there is every key that files of Kata Containers have", async () => {
  const known = new Set(ENTRIES.map(({ section, key }) => `${section}.${key}`));
  const wanted = await lines("keys.txt");
  assert.ok(wanted.length >= 110);
  assert.deepEqual(wanted.filter((key) => !known.has(key)), []);
});

Deno.test("there is every annotation that pods of Kata Containers have", async () => {
  const known = new Set(ENTRIES.flatMap(({ annotations }) => annotations));
  const wanted = (await lines("annotations.txt")).filter((name) => !OF_OTHERS.includes(name));
  assert.ok(wanted.length > 70);
  assert.deepEqual(wanted.filter((name) => !known.has(name)), []);
});

Deno.test("every key has sentences that explain it, and says what it changes", () => {
  for (const { section, key, doc, effect, row } of ENTRIES) {
    assert.match(doc, /^[A-Z][^]*\.$/, `${section}.${key}`);
    assert.match(effect, /^[a-z`]/, `${section}.${key}`);
    assert.doesNotMatch(effect, /\.$/, `${section}.${key}`);
    // a key without an effect says so to whoever sets it
    if (/^none yet/.test(effect)) {
      const told = row.missing ?? (key === "experimental" || key.startsWith("jaeger"));
      assert.ok(told, `${section}.${key} has no effect, and does not say so`);
    }
  }
});

Deno.test("examples and values of the default file are values that the key can have", () => {
  for (const { section, key, row, example, shipped, default: fixed } of ENTRIES) {
    for (const text of [example, shipped, fixed]) {
      if (text === undefined) continue;
      assert.doesNotThrow(() => readValue(row, parse(`x = ${text}`).x), `${section}.${key} = ${text}`);
    }
    assert.deepEqual(checkValue(row, defaultOf(row)), defaultOf(row), `${section}.${key}`);
  }
});

Deno.test("the default file has every key of the file once, and sets what it sets", () => {
  const text = defaultFile();
  for (const { section, key, row, shipped } of ENTRIES) {
    const part = text.slice(text.indexOf(`[${tableName(section, "qemu")}]`));
    const end = part.indexOf("\n[");
    const own = end < 0 ? part : part.slice(0, end);
    const written = [...own.matchAll(new RegExp(`^(# )?${key} = .*$`, "gm"))].map(([line]) => line);
    if (row.annotationOnly) assert.deepEqual(written, [], `${section}.${key}`);
    else {
      assert.equal(written.length, 1, `${section}.${key}`);
      assert.equal(written[0]?.startsWith("# "), shipped === undefined, `${section}.${key}`);
    }
  }
  for (const line of text.split("\n")) assert.ok(line.length <= 120, line);
});

Deno.test("the default file loads without a word, and changes nothing but what it sets", async () => {
  await inFolder(
    { "empty.toml": '[hypervisor.qemu]\nkernel = "vmlinux"\ninitrd = "initrd"\n' },
    async (dir) => {
      const text = defaultFile({ "hypervisor.kernel": '"vmlinux"', "hypervisor.initrd": '"initrd"' });
      await Deno.writeTextFile(`${dir}/default.toml`, text);
      const { config, warnings } = await loadConfig({ explicit: `${dir}/default.toml`, env: {} });
      assert.deepEqual(warnings, []);
      const bare = (await loadConfig({ explicit: `${dir}/empty.toml`, env: {} })).config;
      for (const { section, key } of ENTRIES) {
        const set = (DEFAULT[section] ?? {}) as Record<string, unknown>;
        const table =
          (section === "hypervisor" || section === "agent" ? Object.values(set)[0] ?? {} : set) as object;
        const [one, other] = [config[section], bare[section]] as unknown as Record<string, unknown>[];
        if (!(key in table)) assert.deepEqual(one?.[key], other?.[key], `${section}.${key}`);
      }
    },
  );
});

Deno.test("what is behind a comment sign in the default file is the default, or an example that loads", async () => {
  const uncommented = defaultFile().replace(/^# (\w+ = )/gm, "$1");
  const { report } = await inDefault(uncommented);
  // exactly what excludes each other or is not on this machine, but nothing that is no value
  for (const { problem } of report.errors) {
    assert.doesNotMatch(problem, /^must be (a (string|boolean|float|table)|an (integer|array)|at )/, problem);
  }
  assert.ok(!report.lacksText);
});

async function inDefault(text: string): Promise<Awaited<ReturnType<typeof examineConfig>>> {
  let examined: Awaited<ReturnType<typeof examineConfig>> | undefined;
  await inFolder({ "all.toml": text }, async (dir) => {
    examined = await examineConfig({ explicit: `${dir}/all.toml`, env: {} });
  });
  assert.ok(examined);
  return examined;
}

Deno.test("the page has every key, and every annotation", () => {
  const page = configurationPage();
  for (const { section, key, row, annotations } of ENTRIES) {
    assert.ok(page.includes(`#### \`${key}\``), key);
    assert.deepEqual(annotations, annotationNames(section, key, row));
    for (const name of annotations) assert.ok(page.includes(`\`${name}\``), name);
  }
});
