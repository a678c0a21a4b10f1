/**
 * What is in a guest's initrd: the executable as `/init`, its libraries, the modules, and mount points.
 *
 * @module
 */

import { type CpioEntry, encodeCpio } from "./cpio.ts";
import { ExtraError, type ExtraFile } from "./extras.ts";
import { type GuestModules, MODULE_LIST, MORE_LIST } from "./modules.ts";

/** What an initrd is made of. */
export interface InitrdContent {
  /** The program that becomes `/init`. */
  executable: Uint8Array;
  /** Its libraries by absolute path. */
  libraries: ReadonlyMap<string, Uint8Array>;
  modules: GuestModules;
  /** Further files by absolute path; what is there already, such as a library, stays. */
  extras?: ReadonlyMap<string, ExtraFile>;
}

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

/** The initrd: an uncompressed cpio archive, the same bytes for the same content. */
export function buildInitrd(content: InitrdContent): Uint8Array<ArrayBuffer> {
  const { executable, libraries, modules } = content;
  const entries: CpioEntry[] = [
    ...FOLDERS.map(([path, mode]) => ({ kind: "directory", path, mode }) as const),
    ...DEVICES.map(([name, mode, major, minor]) =>
      ({ kind: "device", path: `dev/${name}`, mode, major, minor }) as const
    ),
    { kind: "file", path: "init", data: executable, mode: 0o755 },
    // an executable made by "deno compile" finds itself by this link, before any /proc is mounted
    { kind: "directory", path: "proc/self", mode: 0o555 },
    { kind: "symlink", path: "proc/self/exe", target: "/init" },
  ];
  for (const [path, data] of libraries) {
    entries.push({ kind: "file", path: path.replace(/^\/+/, ""), data, mode: 0o755 });
  }
  const folder = `lib/modules/${modules.release}`;
  for (const { path, data } of [...modules.modules, ...modules.more]) {
    entries.push({ kind: "file", path: `${folder}/${path}`, data });
  }
  for (const [path, list] of [[MODULE_LIST, modules.modules], [MORE_LIST, modules.more]] as const) {
    const text = list.map(({ path, needs }) => [`/${folder}/${path}`, ...needs].join(" ") + "\n").join("");
    entries.push({ kind: "file", path, data: new TextEncoder().encode(text) });
  }
  const present = new Set(entries.map(({ path }) => path));
  for (const [absolute, file] of content.extras ?? []) {
    const path = absolute.replace(/^\/+/, "");
    if (libraries.has(absolute)) continue;
    if (present.has(path)) {
      throw new ExtraError(`"${absolute}" is a part of every guest and cannot be replaced`);
    }
    if ("link" in file) entries.push({ kind: "symlink", path, target: file.link });
    else entries.push({ kind: "file", path, data: file.data, mode: file.mode });
  }
  return encodeCpio(entries);
}
