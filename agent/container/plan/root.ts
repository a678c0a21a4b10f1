/** Steps that give the child its root. */

import { AT, O } from "../../../sys/fd.ts";
import type { Slot } from "../../../sys/program.ts";
import { MOUNT_ATTRIBUTES, type Propagation } from "../../../oci/mount_options.ts";
import { PLACE, type Steps } from "./steps.ts";

const MNT_DETACH = 2;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

/**
 * Old root: takes the rootfs as a tree of its own.
 *
 * @returns a cell with a descriptor of the tree
 */
export function takeRoot(steps: Steps, rootfs: string): Slot {
  const root = steps.slot("root");
  const place = openRootfs(steps, rootfs);
  steps.cloneTree("bind rootfs", place, true, root);
  steps.close(place);
  return root;
}

/** Old root: opens the folder. @returns a cell with the descriptor */
export function openRootfs(steps: Steps, rootfs: string): Slot {
  const { program } = steps;
  const place = steps.slot("rootfs");
  const open = [AT.FDCWD, program.cstring(rootfs), PLACE | O.DIRECTORY, 0];
  program.step(`open rootfs ${rootfs}`, "openat", open, { save: place });
  return place;
}

/**
 * Makes the tree the root, and lets go of the old one. From here on every path is the container's.
 *
 * The tree is put on top of the old root, where nothing has to be reached first.
 */
export function changeRoot(steps: Steps, root: Slot): void {
  cover(steps, root);
  steps.program.step("enter rootfs", "fchdir", [root]);
  pivot(steps, () => {});
}

function cover(steps: Steps, root: Slot): void {
  const { program } = steps;
  const [empty, top] = [program.cstring(""), program.cstring("/")];
  program.step("cover the old root", "move_mount", [root, empty, AT.FDCWD, top, MOVE_MOUNT_F_EMPTY_PATH]);
}

/**
 * As {@linkcode changeRoot}, but only for this process and for the time being: other processes that enter the namespace
 * find the old root, with the container's mounts below the rootfs.
 *
 * @param place where the rootfs is
 * @returns a cell with a descriptor of the old root
 */
export function borrowRoot(steps: Steps, root: Slot, place: Slot): Slot {
  const { program } = steps;
  const old = steps.slot("old root");
  const open = [AT.FDCWD, program.cstring("/"), PLACE | O.DIRECTORY, 0];
  program.step("open old root", "openat", open, { save: old });
  steps.attach("attach rootfs", root, place);
  steps.close(place);
  program.step("enter rootfs", "fchdir", [root]);
  program.step("borrow root", "chroot", [program.cstring(".")]);
  return old;
}

/** Makes a borrowed root the namespace's. */
export function keepRoot(steps: Steps, root: Slot, old: Slot): void {
  const { program } = steps;
  program.step("return to old root", "fchdir", [old]);
  program.step("give root back", "chroot", [program.cstring(".")]);
  steps.close(old);
  program.step("enter rootfs", "fchdir", [root]);
  pivot(steps, () => {
    cover(steps, root);
    program.step("enter rootfs again", "fchdir", [root]);
  });
}

/**
 * Changes to the folder that the process is in.
 *
 * On the first root of a machine, that of an initramfs, pivot_root(2) does not work; there the old root stays where
 * it is, covered by the new one, and chroot makes that the root: `..` leads to what lies on top.
 */
function pivot(steps: Steps, coverOld: () => void): void {
  const { program } = steps;
  const [cannotPivot, done] = [program.label("root cannot be left"), program.label("root is changed")];
  const dot = program.cstring(".");
  program.step("change root", "pivot_root", [dot, dot], { mayFail: ["EINVAL"], onFailure: cannotPivot });
  // The old root now lies on top of the new one.
  program.step("detach old root", "umount2", [dot, MNT_DETACH]);
  program.jump(done);
  program.place(cannotPivot);
  coverOld();
  program.step("change root to what covers it", "chroot", [dot]);
  program.place(done);
  program.step("enter new root", "chdir", [program.cstring("/")]);
}

/** At the end: the root's propagation, and whether it can be written to. */
export function sealRoot(
  steps: Steps,
  root: Slot,
  propagation: Propagation | undefined,
  readonly: boolean,
): void {
  if (propagation) {
    const { type, recursive } = propagation;
    steps.setAttributes("set propagation of the root", root, { propagation: type, recursive });
  }
  if (readonly) steps.setAttributes("make the root read-only", root, { set: MOUNT_ATTRIBUTES.RDONLY });
  steps.close(root);
}
