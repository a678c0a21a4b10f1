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
        brief: "what to mount: JSON with volume-type, device, fstype, options, metadata",
        placeholder: "JSON",
      },
    },
  },
  docs: {
    brief: "register a volume: the guest mounts its block device",
    fullDescription: "Example:\n" +
      "  kata-runtime direct-volume add --volume-path /var/lib/kubelet/…/mount \\\n" +
      '    --mount-info \'{"volume-type":"block","device":"/dev/sdf","fstype":"ext4","options":["noatime"]}\'',
  },
  loader: async () => (await import("./direct_volume.ts")).add,
});

const remove = buildCommand<VolumeFlags, [], AppContext>({
  parameters: { flags: { volumePath } },
  docs: { brief: "unregister a volume; an unknown one is not an error" },
  loader: async () => (await import("./direct_volume.ts")).remove,
});

const stats = buildCommand<VolumeFlags, [], AppContext>({
  parameters: { flags: { volumePath } },
  docs: { brief: "print a volume's size and usage in the guest, as JSON" },
  loader: async () => (await import("./direct_volume.ts")).stats,
});

const resize = buildCommand<ResizeFlags, [], AppContext>({
  parameters: {
    flags: {
      volumePath,
      size: { kind: "parsed", parse: bytes, brief: "new size in bytes", placeholder: "BYTES" },
    },
  },
  docs: { brief: "grow a volume's file system in the guest; enlarge its device first" },
  loader: async () => (await import("./direct_volume.ts")).resize,
});

/** `kata-runtime direct-volume …` */
export const directVolumeRoutes = buildRouteMap<string, AppContext>({
  routes: { add, remove, stats, resize },
  aliases: { delete: "remove" },
  docs: { brief: "manage volumes that the guest mounts directly" },
});
