/** Where QEMU keeps a guest's memory: one answer for what a machine is booted with and for what is plugged in later. */

import type { VmConfig } from "../vmm.ts";

/** Where the kernel has its huge pages. */
const HUGE_PAGES = "/dev/hugepages";

/** A backend as QEMU has it: the type of its object, and its properties but for id and size. */
export interface MemoryBackend {
  readonly type: "memory-backend-ram" | "memory-backend-memfd" | "memory-backend-file";
  readonly properties: Readonly<Record<string, string | boolean>>;
}

/**
 * Memory has to be shareable wherever another process reads the guest's queues. A memfd is so without the limits of a
 * file system.
 *
 * @param isShared whether a process besides QEMU maps the memory
 */
export function memoryBackend(config: VmConfig, isShared: boolean): MemoryBackend {
  const { fileMemBackend, hugepages, preallocate } = config;
  // a guest that another process works for must not die for want of a huge page in the middle
  const all: Record<string, boolean> = preallocate || (hugepages && isShared) ? { prealloc: true } : {};
  if (hugepages) {
    return { type: "memory-backend-file", properties: { "mem-path": HUGE_PAGES, share: isShared, ...all } };
  }
  if (fileMemBackend) {
    return { type: "memory-backend-file", properties: { "mem-path": fileMemBackend, share: true, ...all } };
  }
  if (isShared) return { type: "memory-backend-memfd", properties: { share: true, ...all } };
  return { type: "memory-backend-ram", properties: all };
}

/** The backend as a value of `-object`. */
export function backendOption({ type, properties }: MemoryBackend, id: string, sizeMiB: number): string {
  const more = Object.entries(properties).map(([name, value]) =>
    `,${name}=${typeof value === "boolean" ? (value ? "on" : "off") : value.replaceAll(",", ",,")}`
  );
  return `${type},id=${id},size=${sizeMiB}M${more.join("")}`;
}

const MIB = 1_048_576;

/** The backend as the arguments of QMP's `object-add`. */
export function backendObject(backend: MemoryBackend, id: string, sizeMiB: number): Record<string, unknown> {
  return { "qom-type": backend.type, id, size: sizeMiB * MIB, ...backend.properties };
}
