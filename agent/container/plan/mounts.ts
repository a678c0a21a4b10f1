/**
 * Steps for the mounts of a specification: sources are taken in the old root, targets are found in the new
 * one.
 */

import { O, RESOLVE } from "../../../sys/fd.ts";
import type { Slot } from "../../../sys/program.ts";
import { SpecError } from "../../../oci/check.ts";
import {
  bindAttributes,
  MOUNT_ATTRIBUTES,
  MOUNT_FLAGS as MS,
  type MountOptions,
  parseMountOptions,
} from "../../../oci/mount_options.ts";
import type { Mount } from "../../../oci/spec.ts";
import type { MountFacts, NamespaceChoices } from "./input.ts";
import { split, type Steps } from "./steps.ts";

/** Beneath a proc filesystem only files that report about the machine may be covered, as `lxcfs` does. */
const COVERABLE_IN_PROC = new Set([
  "cpuinfo",
  "diskstats",
  "meminfo",
  "stat",
  "swaps",
  "uptime",
  "loadavg",
  "slabinfo",
  "net/dev",
  "sys/kernel/ns_last_pid",
  "sys/crypto/fips_enabled",
]);

/**
 * File systems whose mount point must be a real folder, as their content decides about the container's
 * privileges.
 */
const REAL_FOLDER_ONLY = new Set(["proc", "sysfs"]);

/** A mount of the specification, taken apart. */
export interface PlannedMount {
  readonly kind: "bind" | "filesystem" | "remount";
  readonly type: string;
  readonly source: string;
  readonly destination: string;
  readonly options: MountOptions;
  readonly facts: MountFacts;
  /** To be made read-only when everything in it has been made. */
  readonly sealLater: boolean;
}

/** What `facts` are needed of; also checks what can be said without them. @throws {SpecError} */
export function readMount(mount: Mount, index: number): Omit<PlannedMount, "facts"> {
  const path = `mounts[${index}]`;
  const options = parseMountOptions(mount.options ?? []);
  const type = mount.type ?? "";
  const kind = options.flags & MS.REMOUNT ? "remount" : options.bind ? "bind" : "filesystem";
  if (kind === "bind" && options.data.length > 0) {
    throw new SpecError(`${path}.options`, `cannot have "${options.data[0]}" for a bind: it has no data`);
  }
  if (kind === "bind" && !mount.source) throw new SpecError(`${path}.source`, "must be given for a bind");
  if (kind === "filesystem" && type === "") {
    throw new SpecError(`${path}.type`, "must be given for what is not a bind");
  }
  if (kind === "filesystem" && type === "bind") {
    throw new SpecError(`${path}.options`, 'must have "bind" or "rbind" for the type "bind"');
  }
  if (options.extensions.includes("tmpcopyup") && (kind !== "filesystem" || type !== "tmpfs")) {
    throw new SpecError(
      `${path}.options`,
      `can only have "tmpcopyup" for a new tmpfs: its type is "${type}"`,
    );
  }
  checkProc(mount.destination, kind === "remount" || (kind === "filesystem" && type === "proc"), path);
  const isDev = split(mount.destination).join("/") === "dev";
  const sealLater = kind === "filesystem" && (options.flags & MS.RDONLY) !== 0 && (type === "tmpfs" || isDev);
  const destination = mount.destination.startsWith("/") ? mount.destination : `/${mount.destination}`;
  return { kind, type, source: mount.source ?? "", destination, options, sealLater };
}

function checkProc(destination: string, mayBeProcItself: boolean, path: string): void {
  const [first, ...rest] = split(destination);
  if (first !== "proc" || (rest.length === 0 && mayBeProcItself)) return;
  if (!COVERABLE_IN_PROC.has(rest.join("/"))) {
    throw new SpecError(`${path}.destination`, `must not cover this part of /proc: it is "${destination}"`);
  }
}

/**
 * Old root: takes the sources of binds as detached trees, with their attributes set, and makes what a user namespace
 * has no right to mount.
 */
export function takeSources(
  steps: Steps,
  mounts: readonly PlannedMount[],
  bundle: string,
  namespaces: NamespaceChoices,
): Map<PlannedMount, Slot> {
  const trees = new Map<PlannedMount, Slot>();
  for (const mount of mounts) {
    if (mount.kind === "bind") trees.set(mount, takeSource(steps, mount, bundle));
    else if (namespaces.user !== "inherit" && showsNamespace(mount, namespaces, false)) {
      trees.set(mount, makeDetached(steps, mount));
    }
  }
  return trees;
}

/**
 * Old root, in a user namespace: makes what shows namespaces that belong to it. The kernel only lets it see all of
 * `/proc` and `/sys` as long as it sees them already.
 */
export function makeShown(
  steps: Steps,
  mounts: readonly PlannedMount[],
  namespaces: NamespaceChoices,
  trees: Map<PlannedMount, Slot>,
): void {
  for (const mount of mounts) {
    if (showsNamespace(mount, namespaces, true)) trees.set(mount, makeDetached(steps, mount));
  }
}

function takeSource(steps: Steps, mount: PlannedMount, bundle: string): Slot {
  const { options, destination, facts } = mount;
  const source = sourcePath(mount, bundle);
  const tree = steps.slot("tree");
  steps.cloneTree(`open mount source ${source}`, source, options.recursiveBind, tree);
  steps.setAttributes(`set attributes of ${destination}`, tree, bindAttributes(options));
  if (facts.idmap) {
    const recursive = options.extensions.some((option) => option.startsWith("ridmap"));
    const attributes = { set: MOUNT_ATTRIBUTES.IDMAP, idmap: facts.idmap.fd, recursive };
    steps.setAttributes(`map ids of ${destination}`, tree, attributes);
  }
  spread(steps, mount, tree);
  return tree;
}

/** File systems that show a namespace: only the owner of the namespace can mount them. */
const SHOWN_NAMESPACES: Readonly<Record<string, "pid" | "network" | "ipc" | "cgroup">> = {
  proc: "pid",
  sysfs: "network",
  mqueue: "ipc",
  cgroup: "cgroup",
  cgroup2: "cgroup",
};

function showsNamespace({ kind, type }: PlannedMount, namespaces: NamespaceChoices, own: boolean): boolean {
  const shown = SHOWN_NAMESPACES[type];
  return kind === "filesystem" && shown !== undefined && (namespaces[shown] === "new") === own;
}

/** Flags of mount(2) that are options of the file system, by their names for fsconfig(2). */
const FILESYSTEM_FLAGS: readonly (readonly [number, string])[] = [
  [MS.SYNCHRONOUS, "sync"],
  [MS.DIRSYNC, "dirsync"],
  [MS.LAZYTIME, "lazytime"],
];

function makeDetached(steps: Steps, mount: PlannedMount): Slot {
  const tree = steps.slot("tree");
  const { options, destination } = mount;
  const type = mount.type === "cgroup" ? "cgroup2" : mount.type;
  const set = FILESYSTEM_FLAGS.flatMap(([flag, name]) => options.flags & flag ? [name] : []);
  const attributes = bindAttributes(options).set;
  const source = mount.source || type;
  steps.makeFilesystem(`make ${mount.type} for ${destination}`, tree, {
    type,
    source,
    options: [...set, ...options.data],
    attributes,
  });
  spread(steps, mount, tree);
  return tree;
}

/** A file system that the agent fills while the process waits for it. */
export interface CopyUp {
  /** Where the process waits, as soon as the mount point is there. */
  readonly checkpoint: string;
  /** of the mount point, in the container */
  readonly path: string;
  /** for messages */
  readonly destination: string;
  readonly fd: number;
}

/** New root: makes the mounts, in order. @returns what has to be filled meanwhile */
export function attachMounts(
  steps: Steps,
  mounts: readonly PlannedMount[],
  trees: ReadonlyMap<PlannedMount, Slot>,
): CopyUp[] {
  const copyUps: CopyUp[] = [];
  for (const mount of mounts) {
    const tree = trees.get(mount);
    if (tree) attachTree(steps, mount, tree);
    else if (mount.facts.fresh) {
      copyUps.push(attachFilled(steps, mount, mount.facts.fresh.fd, copyUps.length));
    } else if (mount.kind === "remount") remount(steps, mount);
    else mountFilesystem(steps, mount);
  }
  return copyUps;
}

function attachTree(steps: Steps, mount: PlannedMount, tree: Slot): void {
  const { path, folder } = mount.facts;
  const resolve = mount.kind === "bind" ? undefined : resolveOf(mount);
  const target = folder ? steps.folder(path, "mount point", resolve) : steps.file(path, "mount point");
  keepOffProc(steps, mount, target);
  const name = mount.kind === "bind"
    ? `bind ${mount.source} on ${mount.destination}`
    : `mount ${mount.type} on ${mount.destination}`;
  steps.attach(name, tree, target);
  steps.close(target);
  steps.close(tree);
}

function attachFilled(steps: Steps, mount: PlannedMount, fd: number, count: number): CopyUp {
  const { program } = steps;
  const { facts: { path }, destination } = mount;
  const target = steps.folder(path, "mount point");
  keepOffProc(steps, mount, target);
  const checkpoint = `fill ${destination}${count === 0 ? "" : ` (${count})`}`;
  program.checkpoint(checkpoint);
  program.awaitGo(`await content of ${destination}`);
  steps.attach(`mount tmpfs on ${destination}`, fd, target);
  steps.close(target);
  if (
    mount.options.propagation.length > 0 ||
    (mount.options.recursive.set | mount.options.recursive.clear) !== 0
  ) {
    reopen(steps, mount);
    spread(steps, mount, steps.target);
    steps.close(steps.target);
  }
  return { checkpoint, path, destination, fd };
}

function mountFilesystem(steps: Steps, mount: PlannedMount): void {
  const { program } = steps;
  const { options, destination, sealLater } = mount;
  const type = mount.type === "cgroup" ? "cgroup2" : mount.type;
  const resolve = resolveOf(mount);
  const target = steps.folder(mount.facts.path, "mount point", resolve);
  keepOffProc(steps, mount, target);
  program.step(`enter mount point ${destination}`, "fchdir", [target]);
  steps.close(target);
  const flags = sealLater ? options.flags & ~MS.RDONLY : options.flags;
  const data = dataOf(mount);
  program.step(`mount ${mount.type} on ${destination}`, "mount", [
    program.cstring(mount.source || type),
    program.cstring("."),
    program.cstring(type),
    flags,
    data === "" ? 0 : program.cstring(data),
  ]);
  if (options.propagation.length === 0 && (options.recursive.set | options.recursive.clear) === 0) return;
  reopen(steps, mount, resolve);
  spread(steps, mount, steps.target);
  steps.close(steps.target);
}

/** What may be covered in /proc was said by name: a link of the image's must not lead there. */
function keepOffProc(steps: Steps, { destination }: PlannedMount, target: Slot): void {
  if (split(destination)[0] === "proc") return;
  steps.refuseProc(`keep /proc free of ${destination}`, target);
}

function resolveOf({ type }: PlannedMount): number | undefined {
  return REAL_FOLDER_ONLY.has(type) ? RESOLVE.NO_SYMLINKS : undefined;
}

/** Changes a mount that is there: its flags alone with `bind`, else those of its file system, too. */
function remount(steps: Steps, mount: PlannedMount): void {
  const { program } = steps;
  const { options, destination } = mount;
  const name = `remount ${destination}`;
  reopen(steps, mount);
  if (options.bind) steps.setAttributes(name, steps.target, bindAttributes(options));
  else {
    program.step(`enter mount point ${destination}`, "fchdir", [steps.target]);
    const data = options.data.join(",");
    const args = [0, program.cstring("."), 0, options.flags, data === "" ? 0 : program.cstring(data)];
    program.step(name, "mount", args);
  }
  spread(steps, mount, steps.target);
  steps.close(steps.target);
}

/** After a mount its path has to be opened again: the old descriptor refers to what is now covered. */
function reopen(steps: Steps, mount: PlannedMount, resolve?: number): void {
  const open = steps.openArguments(mount.facts.path, O.PATH | O.CLOEXEC, resolve);
  steps.program.step(`open mount ${mount.destination}`, "openat2", open, { save: steps.target });
}

/** Propagation in the order asked for, then the attributes for everything below. */
function spread(steps: Steps, mount: PlannedMount, at: Slot): void {
  for (const { type, recursive } of mount.options.propagation) {
    steps.setAttributes(`set propagation of ${mount.destination}`, at, { propagation: type, recursive });
  }
  const { set, clear } = mount.options.recursive;
  steps.setAttributes(`set attributes below ${mount.destination}`, at, { set, clear, recursive: true });
}

/** A tmpfs takes over the permissions of the folder that it covers, unless a mode is among its options. */
function dataOf(mount: PlannedMount): string {
  const { data } = mount.options;
  const inherits = mount.type === "tmpfs" && !data.some((option) => option.startsWith("mode="));
  const mode = mount.facts.mode ?? 0o755;
  return (inherits ? [`mode=${mode.toString(8)}`, ...data] : data).join(",");
}

/** At the end: what asked to be read-only and had to be filled first. */
export function sealMounts(steps: Steps, mounts: readonly PlannedMount[]): void {
  for (const mount of mounts) {
    if (!mount.sealLater) continue;
    reopen(steps, mount);
    steps.setAttributes(`make ${mount.destination} read-only`, steps.target, {
      set: MOUNT_ATTRIBUTES.RDONLY,
    });
    steps.close(steps.target);
  }
}

/** Where a bind's source is, for looking at it before. */
export function sourcePath(mount: Pick<PlannedMount, "source">, bundle: string): string {
  return mount.source.startsWith("/") ? mount.source : `${bundle}/${mount.source}`;
}
