/**
 * What is in a guest's initrd: the executable as `/init`, its libraries, the modules, and mount points.
 *
 * @module
 */

import { type CpioEntry, encodeCpio } from "./cpio.ts";
import { type GuestModules, MODULE_LIST } from "./modules.ts";

/** What an initrd is made of. */
export interface InitrdContent {
  /** The program that becomes `/init`. */
  executable: Uint8Array;
  /** Its libraries by absolute path. */
  libraries: ReadonlyMap<string, Uint8Array>;
  modules: GuestModules;
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
  for (const { path, data } of modules.modules) {
    entries.push({ kind: "file", path: `${folder}/${path}`, data });
  }
  const list = modules.modules
    .map(({ path, needs }) => [`/${folder}/${path}`, ...needs].join(" ") + "\n")
    .join("");
  entries.push({ kind: "file", path: MODULE_LIST, data: new TextEncoder().encode(list) });
  return encodeCpio(entries);
}
