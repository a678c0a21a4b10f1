/** What holds between keys and between them and the host, checked once all sources are merged. */

import { isFolder } from "../sys/exists.ts";
import type { Report } from "./error.ts";
import {
  arch,
  fileSize,
  findVirtiofsd,
  hostCpus,
  hostMemoryMiB,
  maxCpus,
  qemuPath,
  VIRTIOFSD_PATHS,
} from "./host.ts";
import { BadValue, defaultOf, type Section, shownValue } from "./key.ts";
import { rulesOfDevices, rulesOfMemory, rulesOfRuntime, rulesOfTemplates } from "./pair_rules.ts";
import { type Config, type SectionName, SECTIONS } from "./schema.ts";
import { bad, type HypervisorKey, type Rules } from "./rule.ts";
import type { Settings } from "./settings.ts";

const MIB = 1024 * 1024;

/**
 * Fills in what depends on the host, and checks the whole.
 *
 * @param searchPath the value of PATH
 */
export async function finish(
  settings: Settings,
  report: Report,
  searchPath: string | undefined,
): Promise<void> {
  const rules: Rules = { config: settings.config(), settings, report };
  reportMissing(settings, report);
  capNumbers(settings, report);
  limitCpus(rules.config);
  limitMemory(rules.config);
  checkFiles(rules);
  checkRootFs(rules);
  findDaemon(rules, searchPath);
  rulesOfMemory(rules);
  rulesOfDevices(rules);
  rulesOfTemplates(rules);
  rulesOfRuntime(rules);
  await checkHashes(rules);
  await checkInitData(rules);
}

/** Values that ask for unsupported features. */
function reportMissing(settings: Settings, report: Report): void {
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    const rows: Section = SECTIONS[section];
    for (const [key, row] of Object.entries(rows)) {
      const { missing } = row;
      if (missing === undefined || !settings.isSet(section, key)) continue;
      const value = settings.get(section, key);
      if (missing.when?.(value) ?? String(value) !== String(defaultOf(row))) {
        const say = missing.say === "refuse" ? "bad" : "doubtful";
        report[say](settings.origin(section, key), shownValue(row, value), missing.why);
      }
    }
  }
}

function capNumbers(settings: Settings, report: Report): void {
  const rows: Section = SECTIONS.hypervisor;
  for (const [key, { cap }] of Object.entries(rows)) {
    const value = settings.get("hypervisor", key);
    if (cap === undefined || typeof value !== "number" || value <= cap) continue;
    report.doubtful(
      settings.origin("hypervisor", key),
      value,
      `counts as ${cap}, which is the most there can be`,
    );
    settings.amend("hypervisor", key, cap);
  }
}

function limitCpus({ hypervisor }: Config): void {
  const host = Math.min(hostCpus(), maxCpus);
  const { default_vcpus: vcpus, default_maxvcpus: limit } = hypervisor;
  hypervisor.default_vcpus = vcpus < 0 || vcpus > host ? host : vcpus;
  const most = limit === 0 ? host : Math.min(limit, maxCpus);
  hypervisor.default_maxvcpus = Math.max(most, Math.ceil(hypervisor.default_vcpus));
}

function limitMemory({ hypervisor }: Config): void {
  const host = hostMemoryMiB();
  const { default_maxmemory: most } = hypervisor;
  hypervisor.default_maxmemory = most === 0 || most > host ? host : most;
}

function checkFiles(rules: Rules): void {
  const { hypervisor } = rules.config;
  if (hypervisor.path === "") hypervisor.path = qemuPath();
  requireFile(rules, "path", hypervisor.path);
  requireFile(rules, "kernel", hypervisor.kernel);
  if (hypervisor.firmware !== "") requireFile(rules, "firmware", hypervisor.firmware);
  if (hypervisor.firmware_volume !== "") requireFile(rules, "firmware_volume", hypervisor.firmware_volume);
  for (const file of hypervisor.pflashes) requireFile(rules, "pflashes", file);
  const { file_mem_backend: folder } = hypervisor;
  if (folder !== "" && !isFolder(folder)) bad(rules, "file_mem_backend", "must be an existing folder");
  if (arch === "aarch64" && hypervisor.pflashes.length % 2 !== 0) {
    bad(rules, "pflashes", "must be none or two files on this architecture: firmware and its variables");
  }
}

/** The guest starts from exactly one of initrd and image. */
function checkRootFs(rules: Rules): void {
  const { initrd, image, default_memory: memory } = rules.config.hypervisor;
  if (initrd !== "" && image !== "") {
    bad(rules, "image", `cannot be set together with initrd "${initrd}"`);
    return;
  }
  if (image !== "") {
    const size = requireContent(rules, "image", image);
    if (size !== undefined && size / MIB > memory) {
      const problem = `is larger than the ${memory} MiB of default_memory, which can slow the guest down`;
      rules.report.doubtful(rules.settings.origin("hypervisor", "image"), image, problem);
    }
    return;
  }
  if (rules.settings.isBroken("hypervisor", "image")) return;
  const size = requireContent(rules, "initrd", initrd);
  // it is unpacked into memory
  if (size !== undefined && size > MIB && size / MIB >= memory) {
    bad(
      rules,
      "default_memory",
      `must be more than the ${Math.ceil(size / MIB)} MiB of the initrd "${initrd}"`,
    );
  }
}

function findDaemon(rules: Rules, searchPath: string | undefined): void {
  const { hypervisor } = rules.config;
  if (hypervisor.shared_fs !== "virtio-fs" || rules.settings.isBroken("hypervisor", "shared_fs")) return;
  if (hypervisor.virtio_fs_daemon !== "") {
    requireFile(rules, "virtio_fs_daemon", hypervisor.virtio_fs_daemon);
    return;
  }
  if (rules.report.lacksText) return;
  const found = findVirtiofsd(searchPath);
  if (found !== undefined) {
    hypervisor.virtio_fs_daemon = found;
    return;
  }
  const places = VIRTIOFSD_PATHS.map((path) => `"${path}"`).join(", ");
  bad(
    rules,
    "shared_fs",
    `needs virtiofsd, which is not in ${places} or PATH: install it, set virtio_fs_daemon, ` +
      'or set shared_fs = "virtio-9p"',
  );
}

/** Keys of files, and the annotations that say what must be in them. */
const HASHES = [
  ["hypervisor_hash", "path"],
  ["kernel_hash", "kernel"],
  ["image_hash", "image"],
  ["initrd_hash", "initrd"],
  ["firmware_hash", "firmware"],
  ["firmware_volume_hash", "firmware_volume"],
] as const satisfies readonly (readonly [HypervisorKey, HypervisorKey])[];

async function checkHashes(rules: Rules): Promise<void> {
  const { hypervisor } = rules.config;
  for (const [hash, key] of HASHES) {
    const wanted = hypervisor[hash];
    const path = hypervisor[key];
    if (wanted === "" || rules.settings.isBroken("hypervisor", key)) continue;
    if (path === "") {
      bad(rules, hash, `needs ${key}, which is not set`);
      continue;
    }
    const found = await sha512(path);
    if (found === undefined || found === wanted.toLowerCase()) continue;
    bad(rules, hash, `must be the SHA-512 of "${path}", which is ${found}`);
  }
}

/** Few pods have any. */
async function checkInitData({ config: { hypervisor }, settings, report }: Rules): Promise<void> {
  const { cc_init_data: encoded } = hypervisor;
  if (encoded === "") return;
  const { readInitData } = await import("./init_data.ts");
  try {
    await readInitData(encoded);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    report.bad(settings.origin("hypervisor", "cc_init_data"), encoded, error.message);
  }
}

/** @returns undefined for a file that cannot be read, which is reported where it is named */
async function sha512(path: string): Promise<string | undefined> {
  try {
    return new Uint8Array(await crypto.subtle.digest("SHA-512", await Deno.readFile(path))).toHex();
  } catch {
    return undefined;
  }
}

/** @returns the file's size in bytes */
function requireContent(rules: Rules, key: HypervisorKey, path: string): number | undefined {
  const size = requireFile(rules, key, path);
  if (size === 0) {
    rules.report.bad(rules.settings.origin("hypervisor", key), path, "must not be an empty file");
  }
  return size;
}

/** @returns the file's size in bytes; undefined when there is none, which is reported */
function requireFile({ settings, report }: Rules, key: HypervisorKey, path: string): number | undefined {
  if (settings.isBroken("hypervisor", key)) return undefined;
  const origin = settings.origin("hypervisor", key);
  if (path === "") {
    const other = key === "initrd" ? "it or image must name a file" : "must name a file";
    if (settings.isSet("hypervisor", key)) report.bad(origin, path, other);
    else if (!report.lacksText) report.badKey(origin, `is not set: ${other}`);
    return undefined;
  }
  const size = fileSize(path);
  if (size === undefined) report.bad(origin, path, "must be an existing file");
  return size;
}
