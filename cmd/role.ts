/**
 * Which of its roles the executable plays.
 *
 * @module
 */

/** One file, four programs: see the table in `docs/architecture.md`. */
export type Role = "shim" | "runtime" | "monitor" | "agent";

/**
 * The name this program was called by, links unresolved.
 *
 * It comes from the kernel's copy of the command line and not from `node:process`: loading Node's
 * compatibility layer for one string costs 10 ms and 8 MiB. Without a mounted `/proc` (process 1 of an
 * initrd) there is no such copy, and process 1 is always the initrd's `/init`.
 */
export function calledAs(): string {
  try {
    const line = Deno.readTextFileSync("/proc/self/cmdline");
    return line.slice(0, line.indexOf("\0"));
  } catch {
    return Deno.pid === 1 ? "/init" : Deno.execPath();
  }
}

/**
 * The role that a name stands for.
 *
 * @param argv0 name the program was called by, with or without folders
 * @param pid its process id: process 1 under a name that says nothing else is the agent, so that a guest
 * image may start the file under whatever path it lies at (`init=/usr/bin/anything`)
 */
export function roleOf(argv0: string, pid: number): Role {
  const name = argv0.slice(argv0.lastIndexOf("/") + 1);
  if (name.startsWith("containerd-shim-")) return "shim";
  if (name === "kata-monitor") return "monitor";
  if (name === "kata-agent" || name === "init") return "agent";
  if (name === "kata-runtime" || name === "kata") return "runtime";
  return pid === 1 ? "agent" : "runtime";
}
