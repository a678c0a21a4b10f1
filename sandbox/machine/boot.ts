/**
 * Booting a sandbox's machine: the server of its shared folder, the machine itself, and the connection to its agent.
 *
 * @module
 */

import type { Config } from "../../config/schema.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { dirname } from "../../sys/path.ts";
import type { HostUser, Vm, VmConfig } from "../../vm/vmm.ts";
import type { SandboxCgroups } from "../cgroups/cgroups.ts";
import { AgentClient } from "../guest/agent_client.ts";
import type { Helper, Host, Share } from "../host.ts";
import type { Log } from "../log/log.ts";
import type { SandboxPolicy } from "../policy.ts";
import type { HostPaths } from "../state/paths.ts";
import type { SavedRecord } from "../state/record.ts";
import { within } from "../timing.ts";
import { giveFolder } from "./monitor_user.ts";

/** What a boot needs. */
export interface BootOptions {
  readonly config: Config;
  readonly host: Host;
  readonly log: Log;
  readonly record: SavedRecord;
  /** the machine's folder */
  readonly dir: string;
  readonly share: Share;
  /** the machine, with its network */
  readonly machine: VmConfig;
  readonly cgroups: Pick<SandboxCgroups, "confine">;
  /** who the monitor runs as; undefined: as the owner */
  readonly user: HostUser | undefined;
  readonly paths: HostPaths;
  readonly policy: Pick<SandboxPolicy, "dialTimeoutMs">;
  /** gives up; its reason becomes the error */
  readonly signal?: AbortSignal | undefined;
}

/** What runs then. */
export interface Booted {
  readonly shareServer: Helper | undefined;
  readonly vm: Vm;
  readonly client: AgentClient;
}

/** When virtiofsd ends: how long to wait for the machine's end, which would be the cause, in milliseconds. */
const MACHINE_END_MS = 1_000;

/**
 * Boots the machine, until its agent answers.
 *
 * @param taken gets what has to be released, also after a failure
 * @throws {Error} what a step says; when the machine ended while it booted, with the last lines of its console
 */
export async function boot(options: BootOptions, taken: AsyncDisposableStack): Promise<Booted> {
  const { host, record, machine, dir, user, paths } = options;
  const shareServer = await startShareServer(options);
  if (shareServer !== undefined) {
    taken.use(shareServer);
    await record.addHelper("virtiofsd", shareServer.pid);
  }
  // with the sockets in it that the monitor connects to
  if (user !== undefined) await giveFolder(dir, user, [dirname(paths.vm), paths.vm]);
  const vm = taken.use(await host.startVm(machine));
  await record.addHelper("vmm", vm.pid);
  options.cgroups.confine();
  const client = taken.adopt(await connect(vm, shareServer, options), (client) => client.close());
  return { shareServer, vm, client };
}

/** The agent's first answer is the end of the boot; so is the end of anything that the boot needs. */
async function connect(
  vm: Vm,
  shareServer: Helper | undefined,
  { policy: { dialTimeoutMs }, signal, log }: BootOptions,
): Promise<AgentClient> {
  const broken = new AbortController();
  const giveUp = (message: string) => broken.abort(new RpcError(Code.Unavailable, message));
  vm.exited.then((exit) => giveUp(`the virtual machine ended while it booted: ${exit.message}`));
  shareServer?.exited.then(async () => {
    // it also ends when the machine does, and sometimes is noticed first; the machine has the better reason
    await within(vm.exited, MACHINE_END_MS);
    giveUp("the shared folder's server ended while the virtual machine booted");
  });
  const signals = signal === undefined ? [broken.signal] : [broken.signal, signal];
  try {
    return await AgentClient.connect(vm, { dialTimeoutMs, signal: AbortSignal.any(signals), log });
  } catch (error) {
    if (!(error instanceof RpcError) || error.code !== Code.DeadlineExceeded) throw error;
    throw new RpcError(error.code, `${error.message}; ${consoleEnd(vm.consoleTail)}`, { cause: error });
  }
}

/** Number of console lines in an error message. */
const CONSOLE_LINES = 20;

/** What the guest's kernel had to say last. */
function consoleEnd(tail: readonly string[]): string {
  const lines = tail.map((line) => line.trim()).filter((line) => line !== "").slice(-CONSOLE_LINES);
  return lines.length === 0 ? "its console is empty" : `its console ends with:\n${lines.join("\n")}`;
}

/** Only virtio-fs needs a process of its own. */
async function startShareServer(
  { config: { hypervisor }, host, share, dir, machine, log }: BootOptions,
): Promise<Helper | undefined> {
  if (hypervisor.shared_fs !== "virtio-fs") return undefined;
  return await host.startShareServer({
    path: hypervisor.virtio_fs_daemon,
    sharedDir: share.exported,
    socketPath: `${dir}/vhost-fs.sock`,
    cache: hypervisor.virtio_fs_cache,
    extraArgs: [...hypervisor.virtio_fs_extra_args, ...(hypervisor.disable_guest_selinux ? [] : ["--xattr"])],
    netns: machine.netns,
    onLog: (line) => log.write("debug", line, { source: "virtiofsd" }),
  });
}
