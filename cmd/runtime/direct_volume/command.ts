import { buildCommand, buildRouteMap } from "@stricli/core";
import type { AppContext } from "../app.ts";

/** Flags that name a volume. */
export interface VolumeFlags {
  readonly volumePath: string;
}

/** Flags of `kata-runtime direct-volume add`. */
export interface AddFlags extends VolumeFlags {
  readonly mountInfo: string;
}

/** Flags of `kata-runtime direct-volume resize`. */
export interface ResizeFlags extends VolumeFlags {
  /** in bytes */
  readonly size: number;
}

const volumePath = {
  kind: "parsed",
  parse: String,
  brief: "path of the volume on the host, as the storage driver publishes it",
  placeholder: "PATH",
} as const;

function bytes(text: string): number {
  const size = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(size) && size > 0) return size;
  throw new Error(`must be a number of bytes: it is "${text}"`);
}

const add = buildCommand<AddFlags, [], AppContext>({
  parameters: {
    flags: {
      volumePath,
      mountInfo: {
        kind: "parsed",
        parse: String,
        brief: "what is mounted instead: JSON with volume-type, device, fstype, options, metadata",
        placeholder: "JSON",
      },
    },
  },
  docs: {
    brief: "have a block device mounted in the guest instead of a path",
    fullDescription: "Example:\n" +
      "  kata-runtime direct-volume add --volume-path /var/lib/kubelet/…/mount \\\n" +
      '    --mount-info \'{"volume-type":"block","device":"/dev/sdf","fstype":"ext4","options":["noatime"]}\'',
  },
  loader: async () => (await import("./direct_volume.ts")).add,
});

const remove = buildCommand<VolumeFlags, [], AppContext>({
  parameters: { flags: { volumePath } },
  docs: { brief: "forget a volume; one that is not known is no error" },
  loader: async () => (await import("./direct_volume.ts")).remove,
});

const stats = buildCommand<VolumeFlags, [], AppContext>({
  parameters: { flags: { volumePath } },
  docs: { brief: "print the size and use of a volume in the guest, as JSON" },
  loader: async () => (await import("./direct_volume.ts")).stats,
});

const resize = buildCommand<ResizeFlags, [], AppContext>({
  parameters: {
    flags: {
      volumePath,
      size: { kind: "parsed", parse: bytes, brief: "size afterwards, in bytes", placeholder: "BYTES" },
    },
  },
  docs: { brief: "grow a volume in the guest; its device has been enlarged before" },
  loader: async () => (await import("./direct_volume.ts")).resize,
});

/** `kata-runtime direct-volume …` */
export const directVolumeRoutes = buildRouteMap<string, AppContext>({
  routes: { add, remove, stats, resize },
  aliases: { delete: "remove" },
  docs: { brief: "volumes that the virtual machine mounts itself" },
});
