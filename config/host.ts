/** What the configuration's defaults depend on: this machine's architecture, CPUs and installed programs. */

/** The machine's architecture. */
export const arch: "x86_64" | "aarch64" = Deno.build.arch === "aarch64" ? "aarch64" : "x86_64";

/** Most CPUs that QEMU's machines for the architecture can have. */
export const maxCpus: number = arch === "aarch64" ? 123 : 240;

/** CPUs of the host that this process may use. */
export function hostCpus(): number {
  return navigator.hardwareConcurrency;
}

/** Memory of the host, in MiB. */
export function hostMemoryMiB(): number {
  return Math.floor(Deno.systemMemoryInfo().total / 1_048_576);
}

/** Where distributions install QEMU. */
export function qemuPath(): string {
  return `/usr/bin/qemu-system-${arch}`;
}

/** Folders in which virtiofsd is installed without being in PATH: that of distributions, and of older QEMU packages. */
export const VIRTIOFSD_PATHS: readonly string[] = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];

/** The installed virtiofsd. @param path the value of PATH */
export function findVirtiofsd(path: string | undefined): string | undefined {
  const inPath = (path ?? "").split(":").filter((dir) => dir.startsWith("/")).map((dir) =>
    `${dir}/virtiofsd`
  );
  return [...VIRTIOFSD_PATHS, ...inPath].find((file) => fileSize(file) !== undefined);
}

/** Size of a regular file in bytes; undefined when there is none. */
export function fileSize(path: string): number | undefined {
  try {
    const info = Deno.statSync(path);
    return info.isFile ? info.size : undefined;
  } catch {
    return undefined;
  }
}
