/** Steps that hide paths of the container, or make them read-only. What does not exist needs neither. */

import { O } from "../../../sys/fd.ts";
import type { Slot } from "../../../sys/program.ts";
import { MOUNT_ATTRIBUTES } from "../../../oci/mount_options.ts";
import { PLACE, split, type Steps } from "./steps.ts";

const MISSING = ["ENOENT", "ENOTDIR"];

/** Makes paths read-only, each by a read-only copy of what is mounted there. */
export function protectPaths(steps: Steps, paths: readonly string[]): void {
  const { program } = steps;
  const tree = paths.length > 0 ? steps.slot("protected tree") : steps.target;
  for (const path of unique(paths)) {
    const done = program.label(`${path} is protected`);
    const open = steps.openArguments(path, PLACE);
    program.step(`open ${path}`, "openat2", open, { save: steps.target, mayFail: MISSING, onFailure: done });
    steps.cloneTree(`copy mount of ${path}`, steps.target, true, tree);
    steps.setAttributes(`make ${path} read-only`, tree, { set: MOUNT_ATTRIBUTES.RDONLY });
    steps.attach(`cover ${path}`, tree, steps.target);
    steps.close(steps.target);
    steps.close(tree);
    program.place(done);
  }
}

/** What lies over hidden paths. */
export interface Covers {
  /** the null device, over files */
  readonly file: Cover;
  /** an empty read-only folder */
  readonly folder: Cover;
}

/**
 * One mount that is put over many places: first itself, then copies of it (a detached mount cannot be
 * copied).
 */
interface Cover {
  readonly mount: Slot;
  /** 1 once the mount itself is somewhere */
  readonly used: Slot;
  readonly copy: Slot;
}

/**
 * Old root: makes what hidden paths are covered with. The null device is the agent's, as an image's may be
 * anything.
 */
export function takeCovers(steps: Steps): Covers {
  const { program } = steps;
  const cover = (name: string): Cover => {
    const made = {
      mount: steps.slot(name),
      used: steps.slot(`${name} used`),
      copy: steps.slot(`${name} copy`),
    };
    program.compute(`begin with ${name}`, made.used, 0);
    return made;
  };
  const covers = { file: cover("null device"), folder: cover("empty folder") };
  steps.cloneTree("open /dev/null", "/dev/null", false, covers.file.mount);
  steps.makeFilesystem("make empty folder", covers.folder.mount, {
    type: "tmpfs",
    options: ["mode=555", "nr_blocks=1", "nr_inodes=2"],
    attributes: MOUNT_ATTRIBUTES.RDONLY | MOUNT_ATTRIBUTES.NOSUID | MOUNT_ATTRIBUTES.NODEV,
  });
  return covers;
}

/** New root: hides paths. */
export function hidePaths(steps: Steps, paths: readonly string[], covers: Covers): void {
  const { program, target } = steps;
  for (const path of unique(paths)) {
    const isFolder = program.label(`${path} is a folder`);
    const closing = program.label(`${path} is hidden`);
    const done = program.label(`${path} needs no more`);
    const open = (flags: number) => steps.openArguments(path, PLACE | flags);
    program.step(`open folder ${path}`, "openat2", open(O.DIRECTORY), {
      save: target,
      mayFail: MISSING,
      onSuccess: isFolder,
    });
    program.step(`open ${path}`, "openat2", open(0), { save: target, mayFail: MISSING, onFailure: done });
    cover(steps, path, covers.file);
    program.jump(closing);
    program.place(isFolder);
    cover(steps, path, covers.folder);
    program.place(closing);
    steps.close(target);
    program.place(done);
  }
}

function cover(steps: Steps, path: string, { mount, used, copy }: Cover): void {
  const { program, target } = steps;
  const [first, covered] = [program.label(`first cover for ${path}`), program.label(`${path} is covered`)];
  const name = `hide ${path}`;
  program.expect("look for a cover in use", used, { equals: 1, errno: "ENOENT" }, { onFailure: first });
  steps.cloneTree(name, mount, false, copy);
  steps.attach(name, copy, target);
  steps.close(copy);
  program.jump(covered);
  program.place(first);
  steps.attach(name, mount, target);
  program.compute("keep cover in mind", used, 1);
  program.place(covered);
}

function unique(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => `/${split(path).join("/")}`))];
}
