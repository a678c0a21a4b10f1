/**
 * What building, running and testing need of the distribution.
 *
 * @module
 */

/** A program's name, looked up in `PATH` and the system folders, or a file's path; a list means any one of them. */
export type Place = string | readonly string[];

/** A package of the distribution, and what shows that it is there, however it came. */
export interface Need {
  readonly package: string;
  readonly places: readonly Place[];
}

/** The emulator of this machine, and the tools for the other architecture. */
const MACHINE_NEEDS: readonly Need[] = Deno.build.arch === "aarch64"
  ? [
    { package: "qemu-system-arm", places: ["qemu-system-aarch64"] },
    { package: "binutils-x86-64-linux-gnu", places: ["x86_64-linux-gnu-as", "x86_64-linux-gnu-objcopy"] },
  ]
  : [
    { package: "qemu-system-x86", places: ["qemu-system-x86_64"] },
    { package: "binutils-aarch64-linux-gnu", places: ["aarch64-linux-gnu-as", "aarch64-linux-gnu-objcopy"] },
    { package: "libc6-arm64-cross", places: ["/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"] },
    { package: "libgcc-s1-arm64-cross", places: ["/usr/aarch64-linux-gnu/lib/libgcc_s.so.1"] },
  ];

/** The package that newer distributions have the virtio-fs daemon in; older ones have it in QEMU's. */
export const VIRTIOFSD = { newer: "virtiofsd", older: "qemu-system-common" } as const;

/** Everything that is needed, in the order in which it is named to a user. */
export const NEEDS: readonly Need[] = [
  ...MACHINE_NEEDS,
  { package: VIRTIOFSD.newer, places: [["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "virtiofsd"]] },
  { package: "containerd", places: ["containerd", "ctr"] },
  {
    package: "containernetworking-plugins",
    places: [["/usr/lib/cni/bridge"], ["/usr/lib/cni/host-local"], ["/usr/lib/cni/loopback"]],
  },
  { package: "docker.io", places: ["dockerd"] },
  { package: "runc", places: ["runc"] },
  { package: "crun", places: ["crun"] },
  { package: "busybox-static", places: ["busybox"] },
  { package: "qemu-user-static", places: ["qemu-aarch64-static", "qemu-x86_64-static"] },
  { package: "protobuf-compiler", places: ["protoc"] },
  { package: "gcc", places: ["gcc"] },
  { package: "libc6-dev", places: ["/usr/include/stdio.h"] },
  { package: "binutils", places: ["as", "objcopy", "readelf"] },
  { package: "xz-utils", places: ["xz"] },
  { package: "zstd", places: ["zstd"] },
  { package: "lz4", places: ["lz4"] },
  { package: "kmod", places: ["modprobe"] },
  { package: "mount", places: ["losetup", "mount"] },
  { package: "e2fsprogs", places: ["mkfs.ext4"] },
  { package: "erofs-utils", places: ["fsck.erofs"] },
  { package: "xfsprogs", places: ["mkfs.xfs"] },
  { package: "iptables", places: ["iptables-save", "iptables-restore"] },
  { package: "iproute2", places: ["ip"] },
  { package: "strace", places: ["strace"] },
  { package: "zsh", places: ["zsh"] },
  { package: "fish", places: ["fish"] },
  { package: "time", places: ["/usr/bin/time"] },
];

/** Where programs for root are, though a user's `PATH` often leaves them out. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * The needs that are not met.
 *
 * @param exists default: looks on this machine
 */
export async function unmet(
  needs: readonly Need[],
  exists: (place: string) => Promise<boolean> = isHere,
): Promise<Need[]> {
  const met = await Promise.all(needs.map(({ places }) => everyPlace(places, exists)));
  return needs.filter((_, index) => !met[index]);
}

async function everyPlace(
  places: readonly Place[],
  exists: (place: string) => Promise<boolean>,
): Promise<boolean> {
  for (const place of places) {
    const found = await Promise.all((typeof place === "string" ? [place] : place).map(exists));
    if (!found.includes(true)) return false;
  }
  return true;
}

async function isHere(place: string): Promise<boolean> {
  const folders = place.startsWith("/")
    ? [""]
    : [...(Deno.env.get("PATH") ?? "/usr/bin:/bin").split(":"), ...SYSTEM_FOLDERS];
  for (const folder of folders) {
    const path = folder === "" ? place : `${folder}/${place}`;
    if (await Deno.stat(path).then((info) => info.isFile, () => false)) return true;
  }
  return false;
}
