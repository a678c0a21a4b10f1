/**
 * Guests with more in them than the built one has.
 *
 * @module
 */

import { type CpioEntry, encodeCpio } from "../../guest/cpio.ts";
import { collectExtras, type Extra } from "../../guest/extras.ts";
import { programUnderTest } from "./program.ts";

/**
 * The built guest's initrd with further files: the kernel unpacks archives that follow each other.
 *
 * @returns its path, in the folder
 */
export async function initrdWith(folder: string, extras: readonly Extra[]): Promise<string> {
  const beside = programUnderTest().replace(/\/[^/]*$/, "");
  const entries = [...await collectExtras(extras)].map(([absolute, file]): CpioEntry => {
    const path = absolute.slice(1);
    return "link" in file
      ? { kind: "symlink", path, target: file.link }
      : { kind: "file", path, data: file.data, mode: file.mode };
  });
  const path = `${folder}/initrd.img`;
  await Deno.copyFile(`${beside}/kata-initrd.img`, path);
  await Deno.writeFile(path, encodeCpio(entries), { append: true });
  return path;
}

/** What makes a shell in the guest, with a few commands. */
export const SHELL: readonly Extra[] = [
  "/usr/bin/busybox",
  ...["sh", "cat", "echo", "ls", "uname", "stty", "sleep", "tty"].map((name) => `/bin/${name}`),
].map((target) => ({ source: "/usr/bin/busybox", target }));

/** What reads and writes the packet filter's rules. */
export const PACKET_FILTER: readonly Extra[] = [
  ...["iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"].map((name) =>
    `/usr/sbin/${name}`
  ),
  `/usr/lib/${Deno.build.arch}-linux-gnu/xtables`,
].map((path) => ({ source: path, target: path }));
