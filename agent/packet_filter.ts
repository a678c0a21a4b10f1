/**
 * The guest's packet filters, as text that `iptables-save` writes and `iptables-restore` reads. The programs are not
 * part of a guest by default; `kata-runtime guest build --with` adds them.
 */

import { failedPrecondition } from "./errors.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import { describeStatus } from "../sys/daemon.ts";
import { isFile } from "../sys/exists.ts";
import { PACKET_FILTER_MODULES } from "../sys/module_names.ts";
import { type Ran, runProgram } from "../sys/run.ts";

/** Where the programs are looked for. */
const FOLDERS: readonly string[] = ["/usr/sbin", "/sbin"];

/** How long `iptables-restore` waits for others who change the tables, in seconds. */
const LOCK_S = 5;

/** How long a program may take in all, in milliseconds. */
const RUN_MS = 15_000;

/** Most that a program may write, in bytes: an answer has to fit into one message. */
const MAX_OUTPUT_BYTES = 3 * 1024 * 1024;

/** What the filters need of the machine. */
export interface PacketFilterOptions {
  /** Sees to it that modules are there which are not needed by every guest. */
  readonly devices: { needMore?(...names: readonly string[]): void };
  /** Default: {@linkcode FOLDERS}. */
  readonly folders?: readonly string[];
}

/**
 * The rules of all tables.
 *
 * @throws {RpcError} `FailedPrecondition` if the program is not in the guest, `Internal` if it fails
 */
export async function savedTables(isIpv6: boolean, options: PacketFilterOptions): Promise<Uint8Array> {
  const { stdout } = await run(isIpv6 ? "ip6tables-save" : "iptables-save", [], undefined, options);
  return new TextEncoder().encode(stdout);
}

/**
 * Replaces the rules of the tables that a text has.
 *
 * @returns what the program says
 * @throws as {@linkcode savedTables}
 */
export async function restoreTables(
  isIpv6: boolean,
  rules: Uint8Array,
  options: PacketFilterOptions,
): Promise<Uint8Array> {
  const name = isIpv6 ? "ip6tables-restore" : "iptables-restore";
  const { stdout } = await run(name, ["--wait", String(LOCK_S)], rules, options);
  return new TextEncoder().encode(stdout);
}

async function run(
  name: string,
  args: readonly string[],
  input: Uint8Array | undefined,
  { devices, folders = FOLDERS }: PacketFilterOptions,
): Promise<Ran> {
  const program = folders.map((folder) => `${folder}/${name}`).find(isFile);
  if (program === undefined) {
    throw failedPrecondition(
      `the guest has no "${name}" in ${folders.join(" or ")}; guest assets with it are made by ` +
        `"kata-runtime guest build --with /usr/sbin/${name}"`,
    );
  }
  // a guest has nobody whom the kernel could ask for them
  devices.needMore?.(...PACKET_FILTER_MODULES);
  const limit = { soft: MAX_OUTPUT_BYTES, hard: MAX_OUTPUT_BYTES };
  const ran = await runProgram({
    argv: [program, ...args],
    cwd: "/",
    env: { PATH: FOLDERS.join(":") },
    input,
    rlimits: { FSIZE: limit },
    timeoutMs: RUN_MS,
  });
  if (ran.status.code === 0 && ran.status.signal === 0) return ran;
  const said = ran.stderr.trim() || ran.stdout.trim();
  throw new RpcError(
    Code.Internal,
    `${name} ${describeStatus(ran.status)}${said === "" ? "" : `: ${said}`}`,
  );
}
