/**
 * What is in a guest's initrd: the executable, its libraries, the modules, and mount points.
 *
 * An initrd is copied twice before the first program runs, by the machine and by the guest's kernel, and all of it stays
 * in the guest's memory. The executable is large, and only a part of it is ever touched. So the file of an initrd is
 * two things, one behind the other: an archive for the kernel, with a small first program, and the image of a disk, from
 * which the kernel reads what is touched. The archive's first member says where the disk is; the machine is started with
 * the rest of the file as its initrd.
 *
 * @module
 */

import { type CpioEntry, encodeCpio } from "./cpio.ts";
import type { Architecture } from "./elf.ts";
import { encodeErofs, EROFS_BLOCK } from "./erofs.ts";
import { ExtraError, type ExtraFile } from "./extras.ts";
import { DISK_FOLDER, firstStage } from "./first_stage.ts";
import { type GuestModule, type GuestModules, MODULE_LIST, MORE_LIST } from "./modules.ts";

/** What an initrd is made of. */
export interface InitrdContent {
  /** The agent's program. */
  executable: Uint8Array;
  /** What it is for. */
  arch: Architecture;
  /** Its libraries by absolute path. */
  libraries: ReadonlyMap<string, Uint8Array>;
  modules: GuestModules;
  /** Further files by absolute path; what is there already, such as a library, stays. */
  extras?: ReadonlyMap<string, ExtraFile>;
  /** Whether everything is in the archive, the executable as `/init`, and there is no disk; default false. */
  whole?: boolean;
}

/** First member of an archive with a disk behind it. Its content is {@linkcode diskNote}. */
const DISK_NOTE = ".kata-disk";

/** Drivers that the disk needs. */
const DISK_DRIVERS = ["virtio_pci", "virtio_blk", "erofs"];

const FOLDERS: readonly [path: string, mode: number][] = [
  ["dev", 0o755],
  ["etc", 0o755],
  ["proc", 0o555],
  ["root", 0o700],
  ["run", 0o755],
  ["sys", 0o555],
  ["tmp", 0o1777],
  ["var", 0o755],
];

/** Devices that are wanted before anybody can mount a devtmpfs. */
const DEVICES: readonly [name: string, mode: number, major: number, minor: number][] = [
  ["console", 0o600, 5, 1],
  ["null", 0o666, 1, 3],
  ["zero", 0o666, 1, 5],
  ["random", 0o666, 1, 8],
  ["urandom", 0o666, 1, 9],
];

/**
 * The initrd: an uncompressed cpio archive, followed by a disk unless all is in the archive; the same bytes for the same
 * content. A guest whose kernel has no driver for the disk's file system has it all in the archive.
 */
export function buildInitrd(content: InitrdContent): Uint8Array<ArrayBuffer> {
  const { modules } = content;
  const hasDrivers = DISK_DRIVERS.every((name) =>
    modules.builtin.has(name) || modules.modules.some((module) => module.name === name)
  );
  return content.whole || !hasDrivers ? encodeCpio(wholeEntries(content)) : withDisk(content);
}

/** Everything in the guest's memory. */
function wholeEntries({ executable, libraries, modules, extras }: InitrdContent): CpioEntry[] {
  const entries: CpioEntry[] = [
    ...base("/init"),
    { kind: "file", path: "init", data: executable, mode: 0o755 },
  ];
  for (const [path, data] of libraries) {
    entries.push({ kind: "file", path: inArchive(path), data, mode: 0o755 });
  }
  const folder = `lib/modules/${modules.release}`;
  for (const { path, data } of [...modules.modules, ...modules.more]) {
    entries.push({ kind: "file", path: `${folder}/${path}`, data });
  }
  const pathOf = ({ path }: GuestModule) => `/${folder}/${path}`;
  entries.push(moduleList(MODULE_LIST, modules.modules, pathOf), moduleList(MORE_LIST, modules.more, pathOf));
  return withExtras(entries, libraries, extras);
}

/** Executable, libraries and most modules on the disk. */
function withDisk({ executable, arch, libraries, modules, extras }: InitrdContent): Uint8Array<ArrayBuffer> {
  const first = neededBy(DISK_DRIVERS, modules.modules);
  const others = modules.modules.filter((module) => !first.includes(module));
  const onDisk = ({ name }: GuestModule) => `/${DISK_FOLDER}/${name}.ko`;
  const disk = encodeErofs([
    { name: "init", data: executable, mode: 0o755 },
    ...[...libraries].map(([path, data]) => ({ name: baseName(path), data, mode: 0o755 })),
    ...[...others, ...modules.more].map(({ name, data }) => ({ name: `${name}.ko`, data, mode: 0o644 })),
  ]);
  const folder = `lib/modules/${modules.release}`;
  const entries: CpioEntry[] = [
    ...base(`/${DISK_FOLDER}/init`),
    { kind: "directory", path: DISK_FOLDER, mode: 0o555 },
    {
      kind: "file",
      path: "init",
      data: firstStage(arch, first.map(({ path }) => `/${folder}/${path}`)),
      mode: 0o755,
    },
    ...first.map(({ path, data }) => ({ kind: "file" as const, path: `${folder}/${path}`, data })),
    ...[...libraries.keys()].map((path) =>
      ({ kind: "symlink", path: inArchive(path), target: `/${DISK_FOLDER}/${baseName(path)}` }) as const
    ),
    // those of the first stage are in the kernel when the list is read
    moduleList(MODULE_LIST, others, onDisk),
    moduleList(MORE_LIST, modules.more, onDisk),
  ];
  const note = (offset: number): CpioEntry => ({
    kind: "file",
    path: DISK_NOTE,
    data: new TextEncoder().encode(diskNote(offset, disk.length)),
  });
  const all = withExtras(entries, libraries, extras);
  // the note has the same length whatever it says
  const offset = Math.ceil(encodeCpio([note(0), ...all]).length / EROFS_BLOCK) * EROFS_BLOCK;
  const file = new Uint8Array(offset + disk.length);
  file.set(encodeCpio([note(offset), ...all]));
  file.set(disk, offset);
  return file;
}

/** What is read by `vm/initrd_file.ts`: where the disk begins in the file, and its size, in bytes. */
function diskNote(offset: number, size: number): string {
  return `${String(offset).padStart(15)} ${String(size).padStart(15)}\n`;
}

/** Folders, devices, and what finds itself before there is a `/proc`. */
function base(executable: string): CpioEntry[] {
  return [
    ...FOLDERS.map(([path, mode]) => ({ kind: "directory", path, mode }) as const),
    ...DEVICES.map(([name, mode, major, minor]) =>
      ({ kind: "device", path: `dev/${name}`, mode, major, minor }) as const
    ),
    // an executable made by "deno compile" finds itself by this link, before any /proc is mounted
    { kind: "directory", path: "proc/self", mode: 0o555 },
    { kind: "symlink", path: "proc/self/exe", target: executable },
  ];
}

function moduleList(
  path: string,
  modules: readonly GuestModule[],
  pathOf: (module: GuestModule) => string,
): CpioEntry {
  const text = modules.map((module) => [pathOf(module), ...module.needs].join(" ") + "\n").join("");
  return { kind: "file", path, data: new TextEncoder().encode(text) };
}

/** Modules with those that they need, in the order of loading. */
function neededBy(names: readonly string[], modules: readonly GuestModule[]): GuestModule[] {
  const wanted = new Set(names);
  // each stands behind those that it needs
  for (const { name, needs } of modules.toReversed()) {
    if (wanted.has(name)) needs.forEach((need) => wanted.add(need));
  }
  return modules.filter(({ name }) => wanted.has(name));
}

function withExtras(
  entries: readonly CpioEntry[],
  libraries: ReadonlyMap<string, Uint8Array>,
  extras: ReadonlyMap<string, ExtraFile> = new Map(),
): CpioEntry[] {
  const all = [...entries];
  const present = new Set(entries.map(({ path }) => path));
  for (const [absolute, file] of extras) {
    const path = inArchive(absolute);
    if (libraries.has(absolute)) continue;
    if (present.has(path)) {
      throw new ExtraError(`"${absolute}" is a part of every guest and cannot be replaced`);
    }
    if ("link" in file) all.push({ kind: "symlink", path, target: file.link });
    else all.push({ kind: "file", path, data: file.data, mode: file.mode });
  }
  return all;
}

function inArchive(path: string): string {
  return path.replace(/^\/+/, "");
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
