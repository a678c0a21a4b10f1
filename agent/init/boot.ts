/**
 * Turns a kernel that has just started `/init` into a guest in which containers can run.
 *
 * Everything is a handful of system calls made in sequence. What takes long, loading drivers that only later requests
 * need, is left to {@link ModuleLoader}.
 */

import { isErrno } from "../../sys/errors.ts";
import { mount } from "../../sys/mount.ts";
import { welcomeMemory } from "../hotplug.ts";
import { setHostname } from "../../sys/host.ts";
import type { Logger } from "../log.ts";
import { BOOT_LINKS, BOOT_MOUNTS, type BootMount } from "./mounts.ts";
import { enableCgroupControllers } from "./cgroups.ts";
import { raiseFileLimit } from "./limits.ts";
import { loopbackUp } from "./loopback.ts";
import { moveRoot } from "./root.ts";

/**
 * Root, mounts, links, control groups, limits, memory to come, loopback and host name.
 *
 * @throws {Error} a sentence that names the step; the guest is of no use then
 */
export function boot(log: Logger): void {
  moveRoot();
  for (const entry of BOOT_MOUNTS) mountAtBoot(entry, log);
  for (const [target, path] of BOOT_LINKS) replaceLink(target, path);
  enableCgroupControllers("/sys/fs/cgroup", log);
  raiseFileLimit(log);
  welcomeMemory();
  loopbackUp();
  setHostname(hostname());
}

function mountAtBoot(entry: BootMount, log: Logger): void {
  try {
    Deno.mkdirSync(entry.target, { recursive: true, mode: 0o755 });
    mount(entry.source, entry.target, entry.fstype, entry.flags, entry.data);
  } catch (error) {
    // The same file system is mounted already, by the kernel or the program that started us.
    if (isErrno(error, "EBUSY")) return;
    if (!entry.optional) {
      throw new Error(`cannot mount ${entry.fstype} on "${entry.target}"`, { cause: error });
    }
    log.warn(`cannot mount ${entry.fstype} on "${entry.target}"`, { error: String(error) });
  }
}

function replaceLink(target: string, path: string): void {
  try {
    Deno.symlinkSync(target, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    Deno.removeSync(path);
    Deno.symlinkSync(target, path);
  }
}

function hostname(): string {
  try {
    return Deno.readTextFileSync("/etc/hostname").trim() || "localhost";
  } catch {
    return "localhost";
  }
}
