import assert from "node:assert/strict";
import { annotationNames } from "../config/annotations.ts";
import type { AnyRow } from "../config/key.ts";
import type { Loaded } from "../config/load.ts";
import { type SectionName, SECTIONS, tableName } from "../config/schema.ts";
import { failure, inFolder, load } from "../config/test_files.ts";
import { virtiofsdArguments } from "../fs/virtiofsd_args.ts";
import { buildCommandLine } from "../vm/qemu/command_line.ts";
import { sandboxRequest } from "./guest/sandbox_request.ts";
import { silentLog } from "./log/log.ts";
import { planMachine } from "./machine/plan.ts";
import { vmConfig } from "./machine/vm_config.ts";
import { sandboxPolicy } from "./policy.ts";
import { type Effect, EFFECTS } from "./testing/effects.ts";
import { testSpec } from "./testing/fake_host.ts";

const SECTION_NAMES = Object.keys(SECTIONS) as SectionName[];

/** Every key with its row, and what it is said to change. */
const CASES = SECTION_NAMES.flatMap((section) =>
  Object.entries<AnyRow>(SECTIONS[section]).map(([key, row]) => ({
    section,
    key,
    row,
    effect: EFFECTS[section]?.[key],
    path: `${tableName(section, "qemu")}.${key}`,
  }))
);

const FILES = {
  "qemu-2": "x",
  "vmlinux-2": "x",
  "initrd-2": "x",
  bios: "x",
  vars: "x",
  bin: "x",
  random: "x",
  "folder/x": "x",
};

const BASE = `[hypervisor.qemu]
path = "qemu"
kernel = "vmlinux"
default_maxmemory = 4096
default_maxvcpus = 2
enable_annotations = [".*"]
valid_hypervisor_paths = ["DIR/*"]
valid_virtio_fs_daemon_paths = ["DIR/*"]
valid_entropy_sources = ["DIR/*"]
valid_file_mem_backends = ["DIR/*"]
valid_vhost_user_store_paths = ["DIR/*"]
`;

/** A file with some lines in `[hypervisor.qemu]` and one key; a key that is given takes the place of the base's. */
function fileOf(dir: string, extra: string, section: SectionName, line: string): string {
  const inHypervisor = `${extra}\n${section === "hypervisor" ? line : ""}`;
  const defaults = ['initrd = "initrd"', 'shared_fs = "virtio-9p"', ...BASE.trim().split("\n").slice(1)];
  const given = new Set(inHypervisor.split("\n").map((text) => text.split(" = ")[0]));
  const kept = defaults.filter((text) => !given.has(text.split(" = ")[0]));
  const table = `[${tableName(section, "qemu")}]\n`;
  // it may be open already
  const other = section === "hypervisor" ? "" : `${inHypervisor.includes(table) ? "" : table}${line}\n`;
  return `[hypervisor.qemu]\n${kept.join("\n")}\n${inHypervisor}\n${other}`.replaceAll("DIR", dir);
}

/** All that a configuration leads to, as lines that can be compared. */
function outcome({ config }: Loaded, dir: string, { kvm, nested }: Partial<Effect>): string[] {
  const machine = vmConfig({
    id: "s",
    dir,
    plan: planMachine(config, testSpec(), "x86_64"),
    spec: testSpec(),
    config,
    share: `${dir}/shared`,
    log: silentLog,
    host: {
      arch: "x86_64",
      sizeOf: (path) => Deno.statSync(path).size,
      hasSelinux: () => false,
      hasFips: () => false,
    },
  });
  const { args } = buildCommandLine({
    config: machine,
    arch: "x86_64",
    accelerator: kvm ? "kvm" : "tcg",
    channel: { kind: "vsock", cid: 3 },
    uuid: "0",
    nested: nested && !machine.ignoreNesting,
  });
  const lines = [`program: ${machine.hypervisorPath}`];
  for (const arg of args) {
    if (lines.at(-1) === "-append") lines.splice(-1, 1, ...arg.split(" ").map((word) => `append: ${word}`));
    else if (arg.startsWith("-")) lines.push(arg);
    else lines.push(`${lines.pop()} ${arg}`);
  }
  return lines.map((line) => line.replaceAll(dir, "DIR"));
}

/** Checks what a loaded configuration leads to against what the table says. */
function checkEffect(effect: Effect, before: Loaded, after: Loaded, dir: string): void {
  const [old, now] = [outcome(before, dir, effect), outcome(after, dir, effect)];
  const added = now.filter((line) => !old.includes(line));
  const removed = old.filter((line) => !now.includes(line));
  for (const line of effect.adds ?? []) assert.ok(added.includes(line), `${line} in\n${added.join("\n")}`);
  for (const line of effect.removes ?? []) {
    assert.ok(removed.includes(line), `${line} in\n${removed.join("\n")}`);
  }
  if (effect.removes !== undefined && (effect.with === undefined || effect.alone)) {
    assert.deepEqual(added.sort(), [...effect.adds ?? []].sort(), "nothing else is added");
    assert.deepEqual(removed.sort(), [...effect.removes].sort(), "nothing else is removed");
  }
  const { config } = after;
  const request = sandboxRequest("s", testSpec(), config);
  const storages = JSON.stringify(request.storages);
  for (const [key, value] of Object.entries(effect.request ?? {})) {
    if (key === "storage") assert.ok(storages.includes(String(value)), storages);
    else assert.deepEqual(request[key as keyof typeof request], value);
  }
  for (const [key, value] of Object.entries(effect.policy ?? {})) {
    assert.deepEqual(sandboxPolicy(config)[key as keyof ReturnType<typeof sandboxPolicy>], value);
    assert.notDeepEqual(sandboxPolicy(before.config)[key as keyof ReturnType<typeof sandboxPolicy>], value);
  }
  const daemon = virtiofsdArguments({
    flavor: "rust",
    sharedDir: "/s",
    fd: 3,
    cache: config.hypervisor.virtio_fs_cache,
    extraArgs: config.hypervisor.virtio_fs_extra_args,
  });
  for (const argument of effect.daemon ?? []) assert.ok(daemon.includes(argument), daemon.join(" "));
}

async function withBase(use: (dir: string) => Promise<void>): Promise<void> {
  await inFolder({ ...FILES }, async (dir) => {
    await Deno.writeFile(`${dir}/disk`, new Uint8Array(1_048_576));
    await use(dir);
  });
}

async function loadText(
  dir: string,
  text: string,
  annotations: Record<string, string> = {},
): Promise<Loaded> {
  await Deno.writeTextFile(`${dir}/configuration.toml`, text);
  return await load(dir, { annotations });
}

Deno.test("the table has every key, and nothing else", () => {
  for (const section of SECTION_NAMES) {
    assert.deepEqual(Object.keys(EFFECTS[section] ?? {}).sort(), Object.keys(SECTIONS[section]).sort());
  }
});

Deno.test("effects that are shown elsewhere are shown there", async () => {
  for (const { effect, path } of CASES) {
    if (effect?.shown === undefined) continue;
    const [file, test] = effect.shown;
    const text = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
    const names = [...text.matchAll(/Deno\.test\(\s*["`]([^"`]*)/g)].map(([, name = ""]) => name);
    assert.ok(names.some((name) => name.includes(test)), `${path}: ${file} has no test about "${test}"`);
  }
});

Deno.test("each key of the file has its effect", async (t) => {
  await withBase(async (dir) => {
    for (const { section, key, row, effect, path } of CASES) {
      if (effect === undefined || effect.shown !== undefined || row.annotationOnly) continue;
      await t.step(path, async () => {
        const without = fileOf(dir, effect.alone ? "" : effect.with ?? "", section, "");
        const text = fileOf(dir, effect.with ?? "", section, `${key} = ${effect.value}`);
        if (effect.missing) return await checkMissing(row, dir, text);
        const after = await loadText(dir, text);
        checkEffect(effect, await loadText(dir, without), after, dir);
      });
    }
  });
});

/** What this version does not have is refused, or warned of, with the key's own sentence. */
async function checkMissing(
  row: AnyRow,
  dir: string,
  text: string,
  annotations: Record<string, string> = {},
): Promise<void> {
  assert.ok(row.missing, "the row says what is missing");
  await Deno.writeTextFile(`${dir}/configuration.toml`, text);
  const told = row.missing.say === "refuse"
    ? [await failure(dir, { annotations })]
    : (await load(dir, { annotations })).warnings;
  assert.ok(told.some((sentence) => sentence.endsWith(row.missing?.why ?? "?")), told.join("\n"));
}

/** A value of the file as an annotation has it. */
function annotationValue(row: AnyRow, { value, annotation }: Effect, dir: string): string {
  if (annotation !== undefined) return annotation;
  const parsed = JSON.parse(value);
  if (Array.isArray(parsed)) {
    return row.annotation?.list === "json" ? value : parsed.join(row.annotation?.list ?? ";");
  }
  return row.path && !String(parsed).startsWith("/") ? `${dir}/${parsed}` : String(parsed);
}

Deno.test("each annotation has its effect", async (t) => {
  await withBase(async (dir) => {
    for (const { section, key, row, effect } of CASES) {
      if (effect === undefined || effect.shown !== undefined) continue;
      for (const name of annotationNames(section, key, row)) {
        await t.step(name, async () => {
          const text = fileOf(dir, effect.alone ? "" : effect.with ?? "", section, "");
          const annotations = { [name]: annotationValue(row, effect, dir) };
          if (effect.missing) return await checkMissing(row, dir, text, annotations);
          const before = await loadText(dir, text);
          const after = await loadText(dir, text, annotations);
          if (effect.annotation === undefined) checkEffect(effect, before, after, dir);
          else assert.notDeepEqual(outcome(after, dir, effect), outcome(before, dir, effect));
        });
      }
    }
  });
});

Deno.test("each annotation leads to the same configuration as its key in the file", async (t) => {
  await withBase(async (dir) => {
    for (const { section, key, row, effect, path } of CASES) {
      if (effect === undefined || row.annotationOnly || effect.refused || row.missing?.say === "refuse") {
        continue;
      }
      for (const name of annotationNames(section, key, row)) {
        await t.step(name, async () => {
          const fitting = effect.annotation === undefined ? effect : { value: `"${effect.annotation}"` };
          const text = (line: string) => fileOf(dir, effect.alone ? "" : effect.with ?? "", section, line);
          const byFile = await loadText(
            dir,
            fileOf(dir, effect.with ?? "", section, `${key} = ${fitting.value}`),
          );
          const value = annotationValue(row, effect, dir);
          const byPod = await loadText(dir, text(""), { [name]: value });
          assert.deepEqual(byPod.config, byFile.config, path);
          assert.notDeepEqual(byPod.config, (await loadText(dir, text(""))).config);
        });
      }
    }
  });
});

Deno.test("each annotation of the hypervisor that is not enabled is refused with its name", async () => {
  await withBase(async (dir) => {
    const text = fileOf(dir, "enable_annotations = []", "hypervisor", "");
    await Deno.writeTextFile(`${dir}/configuration.toml`, text);
    let refused = 0;
    for (const { key, row } of CASES.filter(({ section }) => section === "hypervisor")) {
      for (const name of annotationNames("hypervisor", key, row)) {
        if (!name.startsWith("io.katacontainers.config.hypervisor.")) continue;
        assert.equal(
          await failure(dir, { annotations: { [name]: "x" } }),
          `annotation "${name}" is not enabled: no expression of enable_annotations matches it`,
        );
        refused++;
      }
    }
    assert.ok(refused > 60, String(refused));
  });
});
