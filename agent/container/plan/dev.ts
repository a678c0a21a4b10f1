/** Steps that fill the container's /dev: device nodes, links, the console. */

import { AT, makeDev, O, S } from "../../../sys/fd.ts";
import type { Slot } from "../../../sys/program.ts";
import { SpecError } from "../../../oci/check.ts";
import type { Device } from "../../../oci/spec.ts";
import { MOUNT_ATTRIBUTES } from "../../../oci/mount_options.ts";
import { outsideId } from "./ids.ts";
import type { UserChoice } from "./input.ts";
import type { PlannedMount } from "./mounts.ts";
import { PLACE, split, type Steps } from "./steps.ts";

const DEFAULT_MODE = 0o666;
const FILE_TYPES: Readonly<Record<string, number>> = { c: S.IFCHR, u: S.IFCHR, b: S.IFBLK, p: S.IFIFO };

/** Every container has these (runtime-spec, "Default Devices"). */
const DEFAULT_DEVICES: readonly Device[] = [
  { path: "/dev/null", type: "c", major: 1, minor: 3 },
  { path: "/dev/zero", type: "c", major: 1, minor: 5 },
  { path: "/dev/full", type: "c", major: 1, minor: 7 },
  { path: "/dev/random", type: "c", major: 1, minor: 8 },
  { path: "/dev/urandom", type: "c", major: 1, minor: 9 },
  { path: "/dev/tty", type: "c", major: 5, minor: 0 },
];

const LINKS: readonly (readonly [name: string, target: string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["ptmx", "pts/ptmx"],
];

/**
 * The devices to make: the defaults, less those that the specification has itself, and the specification's.
 */
export function devicesOf(devices: readonly Device[]): Device[] {
  const own = new Map<string, Device>();
  for (const [index, device] of devices.entries()) {
    const path = `/${split(device.path).join("/")}`;
    if (path.split("/").includes("..")) {
      throw new SpecError(`linux.devices[${index}].path`, `must not have ".." in it: it is "${device.path}"`);
    }
    // The multiplexer of the container's own devpts is what has this name.
    if (path !== "/dev/ptmx") own.set(path, { ...device, path });
  }
  return [...DEFAULT_DEVICES.filter((device) => !own.has(device.path)), ...own.values()];
}

/** Where device nodes for a user namespace are made: any folder that every guest has. */
const WORKSHOP = "/dev";

/**
 * Old root: makes device nodes in a file system of their own, to be bound in a container with a user namespace, inside
 * of which none can be made.
 *
 * @returns cells with descriptors, by path in the container
 */
export function takeDevices(
  steps: Steps,
  mounts: readonly PlannedMount[],
  devices: readonly Device[],
  user: UserChoice,
): ReadonlyMap<string, Slot> {
  const { program } = steps;
  const trees = new Map<string, Slot>();
  if (isFromOutside(mounts)) return trees;
  const place = steps.slot("device workshop");
  const attributes = MOUNT_ATTRIBUTES.NOSUID | MOUNT_ATTRIBUTES.NOEXEC;
  steps.makeFilesystem("make place for devices", place, { type: "tmpfs", options: ["mode=700"], attributes });
  const open = [AT.FDCWD, program.cstring(WORKSHOP), PLACE | O.DIRECTORY, 0];
  program.step(`open ${WORKSHOP}`, "openat", open, { save: steps.target });
  steps.attach("mount place for devices", place, steps.target);
  steps.close(steps.target);
  for (const [index, device] of devicesOf(devices).entries()) {
    const { path, major = 0, minor = 0, uid = 0, gid = 0 } = device;
    if (device.type === "p") continue;
    const file = program.cstring(String(index));
    const mode = modeOf(device);
    program.step(`make device ${path}`, "mknodat", [place, file, mode, makeDev(major, minor)]);
    const owner = [outsideId(user.uids, uid), outsideId(user.gids, gid)];
    program.step(`give ${path} to ${uid}:${gid}`, "fchownat", [place, file, ...owner, AT.SYMLINK_NOFOLLOW]);
    const tree = steps.slot("device");
    steps.cloneTree(`take device ${path}`, `${WORKSHOP}/${index}`, false, tree);
    trees.set(path, tree);
  }
  steps.close(place);
  return trees;
}

function isFromOutside(mounts: readonly PlannedMount[]): boolean {
  return mounts.findLast(isDev)?.kind === "bind";
}

function isDev({ destination }: PlannedMount): boolean {
  return split(destination).join("/") === "dev";
}

/**
 * Fills /dev, unless it is a bind from outside and so not the container's to fill.
 *
 * @param trees what `takeDevices` has made
 */
export function fillDev(
  steps: Steps,
  mounts: readonly PlannedMount[],
  devices: readonly Device[],
  trees: ReadonlyMap<string, Slot> = new Map(),
): void {
  const mount = mounts.findLast(isDev);
  if (isFromOutside(mounts)) return;
  const fresh = mount?.kind === "filesystem" && mount.type === "tmpfs";
  const byFolder = Map.groupBy(devicesOf(devices), ({ path }) => path.slice(0, path.lastIndexOf("/")) || "/");
  for (const [folder, list] of byFolder) {
    const at = steps.folder(folder, "device folder");
    for (const device of list) {
      if (!trees.has(device.path)) makeDevice(steps, at, device, fresh);
    }
    if (folder === "/dev") makeLinks(steps, at);
    steps.close(at);
  }
  for (const [path, tree] of trees) {
    const target = steps.file(path, "device");
    steps.attach(`bind device ${path}`, tree, target);
    steps.close(target);
    steps.close(tree);
  }
}

function modeOf(device: Device): number {
  return (FILE_TYPES[device.type] ?? S.IFCHR) | ((device.fileMode ?? DEFAULT_MODE) & 0o7777);
}

function makeDevice(steps: Steps, folder: Slot, device: Device, fresh: boolean): void {
  const { program } = steps;
  const { path, major = 0, minor = 0, uid = 0, gid = 0 } = device;
  const name = `make device ${path}`;
  const type = FILE_TYPES[device.type] ?? S.IFCHR;
  const file = program.cstring(path.slice(path.lastIndexOf("/") + 1));
  const mode = modeOf(device);
  const number = type === S.IFIFO ? 0 : makeDev(major, minor);
  const made = program.label(`${path} is made`);
  if (fresh) program.step(name, "mknodat", [folder, file, mode, number]);
  else {
    // In a folder of the image there may be one already; it stays if it is the same.
    program.step(name, "mknodat", [folder, file, mode, number], { mayFail: ["EEXIST"], onSuccess: made });
    const found = steps.stat(`look at ${path}`, folder, path.slice(path.lastIndexOf("/") + 1));
    const same = { errno: "EEXIST" };
    program.expect(name, found.mode, { and: S.IFMT, equals: type, ...same });
    if (type !== S.IFIFO) {
      program.expect(name, found.major, { equals: major, ...same });
      program.expect(name, found.minor, { equals: minor, ...same });
    }
    program.place(made);
  }
  if (uid === 0 && gid === 0) return;
  program.step(`give ${path} to ${uid}:${gid}`, "fchownat", [folder, file, uid, gid, AT.SYMLINK_NOFOLLOW]);
}

function makeLinks(steps: Steps, folder: Slot): void {
  const { program } = steps;
  const link = (name: string, target: string) => {
    const args = [program.cstring(target), folder, program.cstring(name)];
    program.step(`make link /dev/${name}`, "symlinkat", args, { mayFail: ["EEXIST"] });
  };
  for (const [name, target] of LINKS) link(name, target);
  const done = program.label("no kernel core");
  const core = [AT.FDCWD, program.cstring("/proc/kcore"), 0];
  program.step("look for /proc/kcore", "faccessat", core, { mayFail: true, onFailure: done });
  link("core", "/proc/kcore");
  program.place(done);
}

/** Old root: takes the terminal, to be bound on /dev/console. */
export function takeConsole(steps: Steps, slavePath: string): Slot {
  const console = steps.slot("console");
  steps.cloneTree(`open terminal ${slavePath}`, slavePath, false, console);
  return console;
}

/** New root: binds the terminal on /dev/console. */
export function attachConsole(steps: Steps, console: Slot): void {
  const target = steps.file("/dev/console", "console");
  steps.attach("bind terminal on /dev/console", console, target);
  steps.close(target);
  steps.close(console);
}
