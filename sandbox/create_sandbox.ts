/**
 * Creating a sandbox, step by step: each step acquires something on the host, and a failure releases everything.
 *
 * @module
 */

import type { Config } from "../config/schema.ts";
import type { Spec } from "../oci/spec.ts";
import type { Durations } from "../rpc/metrics_text.ts";
import { Code, RpcError } from "../rpc/errors.ts";
import { dirname } from "../sys/path.ts";
import type { HostDevice, Vm } from "../vm/vmm.ts";
import { AgentClient, CALL_TIMEOUT_MS } from "./agent_client.ts";
import type { SandboxCgroups } from "./cgroups/cgroups.ts";
import type { CopiedFiles, CopiedFilesOptions } from "./copied_files.ts";
import { isVfio } from "./devices.ts";
import { SandboxDisks } from "./disks.ts";
import type { GuestSwap, GuestSwapOptions } from "./guest_swap.ts";
import type { SandboxHostDevices } from "./host_devices.ts";
import type { Helper, Host, Share } from "./host.ts";
import { HostCpus } from "./host_cpus.ts";
import { validateId } from "./ids.ts";
import { LocalVolumes } from "./local_volumes.ts";
import { type Log, reason, withFields } from "./log.ts";
import { MachineFit } from "./machine_fit.ts";
import { planMachine } from "./machine_plan.ts";
import { giveFolder, newMonitorUser } from "./monitor_user.ts";
import type { NetworkOptions } from "./network.ts";
import { serveManagement } from "./management/serve.ts";
import { ManagementSocket } from "./management/socket.ts";
import type { PodLoopbackOptions } from "./pod_loopback.ts";
import { HOST_PATHS, type HostPaths, managementSocketPath } from "./paths.ts";
import { type SandboxPolicy, sandboxPolicy } from "./policy.ts";
import { SavedRecord } from "./record.ts";
import { Sandbox, type SandboxParts } from "./sandbox.ts";
import { SandboxLog } from "./sandbox_log.ts";
import { makeFolder } from "./state_file.ts";
import { sandboxRequest } from "./sandbox_request.ts";
import { within } from "./timing.ts";
import type { VfioGroup } from "./vfio.ts";
import type { VcpuPinning } from "./vcpu_pinning.ts";
import { vmConfig } from "./vm_config.ts";

/** What sandbox to create. */
export interface CreateSandboxOptions {
  readonly id: string;
  /** of the container that the sandbox is made for: its network, host name and size */
  readonly spec: Spec;
  readonly config: Config;
  /** the bundle of that container, by which a clean-up knows what is its own (default: none) */
  readonly bundle?: string;
  /** whether the container with the sandbox's id is the pod's pause container (default false) */
  readonly isPod?: boolean;
  readonly log: Log;
  /** how long calls of the front end took, for the sandbox's metrics */
  readonly taskDurations?: Durations;
  /** gives up; its reason becomes the error */
  readonly signal?: AbortSignal;
  /** where files are kept on the host; default: `/run/…` */
  readonly paths?: HostPaths;
  /** default: the real one */
  readonly host?: Host;
}

/** When virtiofsd ends: how long to wait for the machine's end, which would be the cause, in milliseconds. */
const MACHINE_END_MS = 1_000;

/**
 * Boots a virtual machine and makes it ready for containers.
 *
 * @throws {RpcError} `ALREADY_EXISTS`, `INVALID_ARGUMENT`
 * @throws {Error} whatever a step says; when the machine ended while it booted, with the last lines of its console
 */
export async function createSandbox(options: CreateSandboxOptions): Promise<Sandbox> {
  const { id, spec, config, paths = HOST_PATHS } = options;
  validateId("sandbox id", id);
  const front = withFields(options.log, { sandbox: id });
  const host = options.host ?? await realHost();
  const policy = sandboxPolicy(config);
  const atBoot = spec.linux?.devices?.some(isVfio) ? await groupsAtBoot(spec, policy, host) : [];
  const cgroups = planCgroups(options, host, front);
  const saved = { folders: [`${paths.vm}/${id}`, `${paths.shared}/${id}`], cgroups: cgroups.folders };

  await using taken = new AsyncDisposableStack();
  const bundle = options.bundle ?? "";
  const record = taken.use(await SavedRecord.open(paths, { id, bundle }, saved, front));
  const log = taken.use(SandboxLog.open(front, `${paths.state}/${id}`, { sandbox: id }));
  // whatever the releases further down could not undo
  taken.defer(() => record.replay());
  taken.use(cgroups);
  // that waits for other processors, and is over before anything is started
  const entered = cgroups.enter();
  entered.catch(() => {});
  const dir = taken.adopt(await makeFolder(`${paths.vm}/${id}`, 0o750), removeRunFolder);
  const share = taken.use(await host.prepareShare(id, paths.shared));
  if (policy.sharesFiles) await share.addSandboxMounts(config.runtime.sandbox_bind_mounts);
  const user = config.hypervisor.rootless ? newMonitorUser() : undefined;
  const plan = planMachine(config, spec);
  const onConsole = (line: string) => log.guestLine(line);
  const hostDevices = atBoot.flatMap(({ devices }) => devices);
  const portRoom = policy.hostDevices.later ? await roomForDevices(host) : undefined;
  const made = { id, dir, plan, spec, config, share: share.exported, log, onConsole, user };
  const machine = vmConfig({ ...made, hostDevices, portRoom });
  const network = taken.use(await host.openNetwork(networkNeeds(options, machine.vcpus, record, log)));
  // processes that this one starts from now on are in its cgroups
  await entered;
  const shareServer = await startShareServer({ config, dir, share, host, log, netns: network.path });
  if (shareServer) taken.use(shareServer);
  if (shareServer) await record.addHelper("virtiofsd", shareServer.pid);
  // with the sockets in it that the monitor connects to
  if (user !== undefined) await giveFolder(dir, user, [dirname(paths.vm), paths.vm]);
  const vm = taken.use(await host.startVm({ ...machine, netns: network.path, nics: network.nics }));
  await record.addHelper("vmm", vm.pid);
  cgroups.confine();
  const client = taken.adopt(await connect(vm, shareServer, options, log), (client) => client.close());
  const { agent } = client;
  const files = policy.sharesFiles
    ? share
    : taken.use(await copiedFiles({ agent, log, memoryMiB: vm.memoryMiB }));
  if (!policy.sharesFiles) await files.addSandboxMounts(config.runtime.sandbox_bind_mounts);
  // a device of the host takes a driver, which the guest may be told of with the sandbox
  const needsDrivers = network.nics.some(({ backend }) => backend.kind === "host-device");
  if (!needsDrivers) await network.attach({ vm, client });
  await client.agent.createSandbox(sandboxRequest(options.isPod ? id : "", spec, config), {
    timeoutMs: CALL_TIMEOUT_MS,
  });
  if (needsDrivers) await network.attach({ vm, client });
  if (options.isPod && network.path !== undefined) {
    await openLoopback({ namespace: network.path, client, log }, taken);
  }
  await record.update({ state: "running" });

  const management = taken.use(ManagementSocket.listen(managementSocketPath(paths, id), log));
  const fit = plan.isStatic ? undefined : new MachineFit({ machine: vm, agent, ...plan, log });
  const isPod = options.isPod ?? false;
  const hostCpus = new HostCpus({
    vm,
    cgroups,
    pinning: policy.pinVcpus ? await vcpuPinning(vm, log) : undefined,
    log,
  });
  await hostCpus.place();
  const disks = new SandboxDisks(vm, log, cgroups);
  const folder = user === undefined ? `${paths.shared}/${id}` : dir;
  const swapNeeds = { folder, owner: user, disks, agent, defaultMiB: plan.defaults.memoryMiB, log };
  const swap = policy.guestSwap && fit ? await guestSwap(swapNeeds) : undefined;
  const parts = {
    id,
    vm,
    shareServer,
    share: files,
    client,
    fit,
    swap,
    cgroups,
    hostCpus,
    disks,
    hostDevices: await devicesFor({ vm, policy, network, atBoot, log }),
    local: new LocalVolumes(),
    host,
    network,
    record,
    log,
    isPod,
    policy,
  };
  const sandbox = new Sandbox({ ...parts, taken: taken.move() });
  const { taskDurations } = options;
  const profiling = config.runtime.enable_pprof;
  const { volumes } = disks;
  serveManagement(management, sandbox, { vm, shareServer, client, taskDurations, profiling, volumes });
  return sandbox;
}

async function vcpuPinning(vm: Vm, log: Log): Promise<VcpuPinning> {
  return new (await import("./vcpu_pinning.ts")).VcpuPinning(() => vm.vcpuThreads(), log);
}

/** Few pods have devices of the host. */
async function groupsAtBoot(spec: Spec, policy: SandboxPolicy, host: Host): Promise<VfioGroup[]> {
  return (await import("./equip_vfio.ts")).bootGroups(spec, policy.hostDevices, host.vfio);
}

async function roomForDevices(host: Host): Promise<HostDevice["memory"]> {
  return (await import("./equip_vfio.ts")).roomForDevices(host.vfio);
}

interface DeviceNeeds extends Pick<SandboxParts, "vm" | "policy" | "network" | "log"> {
  readonly atBoot: readonly VfioGroup[];
}

async function devicesFor(
  { policy, network, ...needs }: DeviceNeeds,
): Promise<SandboxHostDevices | undefined> {
  const { atBoot: cold, later } = policy.hostDevices;
  if (!cold && !later) return undefined;
  const { SandboxHostDevices } = await import("./host_devices.ts");
  return new SandboxHostDevices({ ...needs, later, onGone: (address) => network.deviceWent(address) });
}

/** Few guests see no files. */
async function copiedFiles(options: CopiedFilesOptions): Promise<CopiedFiles> {
  return new (await import("./copied_files.ts")).CopiedFiles(options);
}

/** Few pods swap, and only they load what it takes. */
async function guestSwap(options: GuestSwapOptions): Promise<GuestSwap> {
  return new (await import("./guest_swap.ts")).GuestSwap(options);
}

/** They are decided about before anything is taken: what is saved of the sandbox names them. */
function planCgroups({ id, spec, config }: CreateSandboxOptions, host: Host, log: Log): SandboxCgroups {
  const only = config.runtime.sandbox_cgroup_only;
  return host.planCgroups({ id, cgroupsPath: spec.linux?.cgroupsPath, only, log });
}

/** A failure of port forwarding does not fail the sandbox. */
async function openLoopback(options: PodLoopbackOptions, taken: AsyncDisposableStack): Promise<void> {
  try {
    const { PodLoopback } = await import("./pod_loopback.ts");
    taken.use(PodLoopback.open(options));
  } catch (error) {
    options.log.write("info", `ports of the pod's loopback cannot be forwarded: ${reason(error)}`);
  }
}

function networkNeeds(
  { id, spec, config }: CreateSandboxOptions,
  queues: number,
  record: SavedRecord,
  log: Log,
): NetworkOptions {
  return { id, spec, config, queues, log, save: (network) => record.update({ network }) };
}

/** The agent's first answer is the end of the boot; so is the end of anything that the boot needs. */
async function connect(
  vm: Vm,
  shareServer: Helper | undefined,
  { config, signal }: CreateSandboxOptions,
  log: Log,
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
  const { dialTimeoutMs } = sandboxPolicy(config);
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

interface ShareServerNeeds {
  readonly config: Config;
  readonly dir: string;
  readonly share: Share;
  readonly host: Host;
  readonly log: Log;
  readonly netns: string | undefined;
}

/** Only virtio-fs needs a process of its own. */
async function startShareServer(needs: ShareServerNeeds): Promise<Helper | undefined> {
  const { hypervisor } = needs.config;
  if (hypervisor.shared_fs !== "virtio-fs") return undefined;
  return await needs.host.startShareServer({
    path: hypervisor.virtio_fs_daemon,
    sharedDir: needs.share.exported,
    socketPath: `${needs.dir}/vhost-fs.sock`,
    cache: hypervisor.virtio_fs_cache,
    extraArgs: [...hypervisor.virtio_fs_extra_args, ...(hypervisor.disable_guest_selinux ? [] : ["--xattr"])],
    netns: needs.netns,
    onLog: (line) => needs.log.write("debug", line, { source: "virtiofsd" }),
  });
}

/** What is left in it are sockets and a pid file. */
async function removeRunFolder(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function realHost(): Promise<Host> {
  return (await import("./real_host.ts")).realHost;
}
