import { bindAttributes, type MountOptions } from "../../oci/mount_options.ts";
import { AT, OwnedFd } from "../../sys/fd.ts";
import { mount, mountSetattr, MOVE_MOUNT, moveMount, OPEN_TREE, openTree } from "../../sys/mount.ts";
import { pathOf } from "./beneath.ts";

/** One mount to be made: of a filesystem, or of something that is in the guest already. */
export type Attachment =
  | {
    readonly kind: "filesystem";
    readonly source: string;
    readonly fstype: string;
    readonly options: MountOptions;
  }
  | { readonly kind: "bind"; readonly open: () => OwnedFd; readonly options: MountOptions };

/**
 * Mounts it.
 *
 * @param target where, a place; it names what is covered even when the mount is there
 * @param reopen is called once, when the mount is there, and opens it
 */
export function attach(attachment: Attachment, target: OwnedFd, reopen: () => OwnedFd): void {
  const { options } = attachment;
  if (attachment.kind === "bind") {
    using source = attachment.open();
    bind(source.fd, target.fd, options);
  } else {
    mount(attachment.source, pathOf(target), attachment.fstype, options.flags, options.data.join(","));
  }
  using mounted = reopen();
  for (const { type, recursive } of options.propagation) {
    mountSetattr(mounted.fd, "", { propagation: type }, AT.EMPTY_PATH | (recursive ? AT.RECURSIVE : 0));
  }
}

/** A read-only bind is read-only before anybody can see it. */
function bind(source: number, target: number, options: MountOptions): void {
  const below = options.recursiveBind ? AT.RECURSIVE : 0;
  using tree = new OwnedFd(openTree(source, "", OPEN_TREE.CLONE | AT.EMPTY_PATH | below));
  const { set, clear } = bindAttributes(options);
  if (set !== 0 || clear !== 0) mountSetattr(tree.fd, "", { set, clear }, AT.EMPTY_PATH);
  const { recursive } = options;
  if (recursive.set !== 0 || recursive.clear !== 0) {
    mountSetattr(tree.fd, "", recursive, AT.EMPTY_PATH | AT.RECURSIVE);
  }
  moveMount(tree.fd, "", target, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH);
}
