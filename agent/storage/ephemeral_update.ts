import type { Storage } from "../../rpc/gen/agent_pb.ts";
import { mount } from "../../sys/mount.ts";
import { invalidArgument } from "../errors.ts";
import { makeFolderBeneath, namesBelow, pathOf } from "./beneath.ts";
import { storageOptions } from "./options.ts";

/**
 * Mounts ephemeral storages again with other options: how the host changes the size of memory that is a filesystem.
 *
 * @param base folder that the mount points must be below
 */
export function updateEphemeralMounts(storages: readonly Storage[], base: string): void {
  for (const storage of storages) {
    if (storage.driver !== "ephemeral") {
      throw invalidArgument(
        `only ephemeral storages can be updated: "${storage.mountPoint}" is "${storage.driver}"`,
      );
    }
  }
  for (const storage of storages) {
    const { folder } = makeFolderBeneath(
      base,
      namesBelow(base, storage.mountPoint, "the mount point of a storage"),
    );
    using target = folder;
    if (storage.options.length === 0) continue;
    const { flags, data } = storageOptions(storage.options).mount;
    mount(storage.source || "tmpfs", pathOf(target), storage.fstype || "tmpfs", flags, data.join(","));
  }
}
