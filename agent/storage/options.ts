import { type MountOptions, parseMountOptions } from "../../oci/mount_options.ts";
import { invalidArgument } from "../errors.ts";

/** Options of a storage, with those taken out that are the agent's and not the filesystem's. */
export interface StorageOptions {
  readonly mount: MountOptions;
  /** Group that owns the folder (`fsgid=`). */
  readonly fsgid: number | undefined;
}

/** Takes `fsgid=<gid>` out; the rest is for mount(2). */
export function storageOptions(options: readonly string[]): StorageOptions {
  let fsgid: number | undefined;
  const rest = options.filter((option) => {
    const value = /^fsgid=(.*)$/.exec(option)?.[1];
    if (value === undefined) return true;
    if (!/^[0-9]{1,10}$/.test(value) || Number(value) > 0xffff_fffe) {
      throw invalidArgument(`storage option "fsgid" must be a group id: it is "${value}"`);
    }
    fsgid = Number(value);
    return false;
  });
  const mount = parseMountOptions(rest);
  if (mount.extensions.length > 0) {
    throw invalidArgument(`storage option "${mount.extensions[0]}" is not supported`);
  }
  return { mount, fsgid };
}

/** The value of `name=value` among options; undefined if it is not there. */
export function optionValue(options: readonly string[], name: string): string | undefined {
  return options.findLast((option) => option.startsWith(name + "="))?.slice(name.length + 1);
}
