/**
 * Where a pod has the folders of its volumes: on the host's disk, in the root of the pod's pause container,
 * which containers of the pod do not see otherwise.
 *
 * @module
 */

import type { Storage } from "../../rpc/gen/agent_pb.ts";
import type { Init } from "../../rpc/message.ts";
import type { SandboxParts } from "../sandbox.ts";
import { GUEST_LOCAL_DISK, GUEST_LOCAL_MEMORY } from "../state/paths.ts";
import { type Bundle, isDisk, openRootfs, rootOnDisk } from "./equip.ts";

/** The place. */
export interface LocalPlace {
  /** as the guest sees it */
  readonly folder: string;
  /** what every container needs that uses it */
  readonly storages: readonly Init<Storage>[];
}

/** Folder of the volumes in that root. */
const FOLDER = "local";

/** Of one sandbox. The place is made when it is needed first. */
export class LocalVolumes {
  #root: { readonly bundle: Bundle; readonly taken: AsyncDisposableStack } | undefined;
  #place: Promise<LocalPlace | undefined> | undefined;

  /** @param taken releases the root, with the pod's pause container */
  useRootOf(bundle: Bundle, taken: AsyncDisposableStack): void {
    this.#root = { bundle, taken };
  }

  /**
   * @returns undefined if the pod has no pause container
   * @throws {Error} the root cannot be prepared
   */
  place(parts: SandboxParts): Promise<LocalPlace | undefined> {
    return this.#place ??= this.#open(parts).catch((error) => {
      this.#place = undefined;
      throw error;
    });
  }

  async #open(parts: SandboxParts): Promise<LocalPlace | undefined> {
    const { sharesFiles, useDisks } = parts.policy;
    if (this.#root !== undefined) {
      const { bundle, taken } = this.#root;
      const [only, ...others] = bundle.rootfs;
      if (only !== undefined && others.length === 0 && useDisks && isDisk(only)) {
        const { storages } = await rootOnDisk(GUEST_LOCAL_DISK, only, parts, taken);
        return { folder: `${GUEST_LOCAL_DISK}/${FOLDER}`, storages };
      }
      if (sharesFiles) {
        const rootfs = taken.use(await openRootfs(bundle, parts));
        taken.defer(() => parts.share.remove(bundle.id));
        const root = await parts.share.addRootfs(bundle.id, rootfs.path);
        return { folder: `${root}/${FOLDER}`, storages: [] };
      }
    }
    // what cannot be shared has to be in the guest
    return sharesFiles ? undefined : { folder: GUEST_LOCAL_MEMORY, storages: [] };
  }
}
