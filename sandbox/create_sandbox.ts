/**
 * Creating a sandbox, step by step: each step acquires something on the host, and a failure releases everything.
 *
 * @module
 */

import type { Config } from "../config/schema.ts";
import { checkOpenFiles } from "../fs/open_files.ts";
import type { Spec } from "../oci/spec.ts";
import type { Around, Durations } from "../rpc/metrics_text.ts";
import type { HostDevice, HostUser, Vm, VmConfig } from "../vm/vmm.ts";
import type { SandboxCgroups } from "./cgroups/cgroups.ts";
import { isVfio } from "./devices/devices.ts";
import type { SandboxHostDevices } from "./devices/host_devices.ts";
import type { VfioGroup } from "./devices/vfio.ts";
import { CALL_TIMEOUT_MS } from "./guest/agent_client.ts";
import { sandboxRequest } from "./guest/sandbox_request.ts";
import type { Host, Share } from "./host.ts";
import { type Log, reason, withFields } from "./log/log.ts";
import { SandboxLog } from "./log/sandbox_log.ts";
import { boot, type Booted } from "./machine/boot.ts";
import { MachineFit } from "./machine/fit.ts";
import type { GuestSwap, GuestSwapOptions } from "./machine/guest_swap.ts";
import { HostCpus } from "./machine/host_cpus.ts";
import type { InitDataDisk } from "./machine/init_data.ts";
import { newMonitorUser } from "./machine/monitor_user.ts";
import { type MachinePlan, planMachine } from "./machine/plan.ts";
import type { VcpuPinning } from "./machine/vcpu_pinning.ts";
import { vmConfig } from "./machine/vm_config.ts";
import { serveManagement } from "./management/serve.ts";
import { ManagementSocket } from "./management/socket.ts";
import type { PodLoopbackOptions } from "./network/loopback.ts";
import type { NetworkOptions, SandboxNetwork } from "./network/network.ts";
import { type SandboxPolicy, sandboxPolicy } from "./policy.ts";
import { Sandbox, type SandboxParts } from "./sandbox.ts";
import { validateId } from "./state/ids.ts";
import { HOST_PATHS, type HostPaths, managementSocketPath } from "./state/paths.ts";
import { SavedRecord } from "./state/record.ts";
import { makeFolder } from "./state/state_file.ts";
import type { CopiedFiles, CopiedFilesOptions } from "./storage/copied_files.ts";
import { SandboxDisks } from "./storage/disks.ts";
import { LocalVolumes } from "./storage/local_volumes.ts";

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

/**
 * Boots a virtual machine and makes it ready for containers.
 *
 * @throws {RpcError} `ALREADY_EXISTS`, `INVALID_ARGUMENT`
 * @throws {Error} whatever a step says; when the machine ended while it booted, with the last lines of its console
 */
export async function createSandbox(options: CreateSandboxOptions): Promise<Sandbox> {
  const order = await ordered(options);
  await using taken = new AsyncDisposableStack();
  const step = await traced(order, taken);
  const place = await step("reserve", () => reserve(order, taken));
  const network = taken.use(await step("network", () => order.host.openNetwork(networkNeeds(order, place))));
  const machine = { ...place.machine, netns: network.path, nics: network.nics };
  // processes that this one starts from now on are in its cgroups
  await place.entered;
  const booted = await step("boot", () => boot({ ...order, ...place, machine }, taken));
  const running = { network, ...booted };
  if (order.config.runtime.enable_tracing) booted.client.durations.around = step;
  const share = await step("introduce", () => introduce(order, place, running, taken));
  await place.record.update({ state: "running" });
  const management = taken.use(
    ManagementSocket.listen(managementSocketPath(order.paths, order.id), place.log),
  );
  const parts = await assemble(order, place, running);
  const sandbox = new Sandbox({ ...parts, share, taken: taken.move() });
  serveManagement(management, sandbox, {
    ...running,
    taskDurations: order.taskDurations,
    profiling: order.policy.profiling,
    volumes: parts.disks.volumes,
  });
  return sandbox;
}

/** What sandbox to create, with everything decided that needs nothing of the host. */
interface Order extends CreateSandboxOptions {
  readonly bundle: string;
  readonly isPod: boolean;
  readonly paths: HostPaths;
  readonly host: Host;
  /** of the front end, with the sandbox's id in each line */
  readonly front: Log;
  readonly policy: SandboxPolicy;
  readonly plan: MachinePlan;
  /** devices of the host that the machine boots with */
  readonly atBoot: readonly VfioGroup[];
}

async function ordered(options: CreateSandboxOptions): Promise<Order> {
  const { id, spec, config, paths = HOST_PATHS, bundle = "", isPod = false } = options;
  validateId("sandbox id", id);
  checkOpenFiles();
  const host = options.host ?? await realHost();
  const policy = sandboxPolicy(config);
  const atBoot = spec.linux?.devices?.some(isVfio) ? await groupsAtBoot(spec, policy, host) : [];
  const front = withFields(options.log, { sandbox: id });
  return { ...options, bundle, isPod, paths, host, front, policy, plan: planMachine(config, spec), atBoot };
}

/** What a sandbox has on the host before anything of it runs. */
interface Place {
  readonly record: SavedRecord;
  readonly log: SandboxLog;
  readonly cgroups: SandboxCgroups;
  /** when the owner is in them: that waits for other processors, and something else can be done meanwhile */
  readonly entered: Promise<void>;
  readonly dir: string;
  readonly share: Share;
  /** who the monitor runs as; undefined: as the owner */
  readonly user: HostUser | undefined;
  /** without its network */
  readonly machine: VmConfig;
}

/** First of all the record: a clean-up finds by it what the steps after it have acquired. */
async function reserve(order: Order, taken: AsyncDisposableStack): Promise<Place> {
  const { id, spec, config, paths, host, policy, plan, front, bundle } = order;
  const cgroupsPath = spec.linux?.cgroupsPath;
  const cgroups = host.planCgroups({ id, cgroupsPath, only: config.runtime.sandbox_cgroup_only, log: front });
  const saved = { folders: [`${paths.vm}/${id}`, `${paths.shared}/${id}`], cgroups: cgroups.folders };
  const record = taken.use(await SavedRecord.open(paths, { id, bundle }, saved, front));
  const log = taken.use(SandboxLog.open(front, `${paths.state}/${id}`, { sandbox: id }));
  // whatever the releases further down could not undo
  taken.defer(() => record.replay());
  taken.use(cgroups);
  const entered = cgroups.enter();
  entered.catch(() => {}); // whoever waits for it is told
  const dir = taken.adopt(await makeFolder(`${paths.vm}/${id}`, 0o750), removeRunFolder);
  const share = taken.use(await host.prepareShare(id, paths.shared));
  if (policy.sharesFiles) await share.addSandboxMounts(config.runtime.sandbox_bind_mounts);
  const user = config.hypervisor.rootless ? newMonitorUser() : undefined;
  const { cc_init_data: encoded } = config.hypervisor;
  const initData = encoded === "" ? undefined : await initDataDisk(dir, encoded);
  const machine = vmConfig({
    ...{ id, dir, initData, plan, spec, config, share: share.exported, log, user },
    onConsole: (line) => log.guestLine(line),
    hostDevices: order.atBoot.flatMap(({ devices }) => devices),
    portRoom: policy.hostDevices.later ? await roomForDevices(host) : undefined,
  });
  return { record, log, cgroups, entered, dir, share, user, machine };
}

/** What runs, and its network. */
interface Running extends Booted {
  readonly network: SandboxNetwork;
}

/** Tells the agent what sandbox it is of. @returns how containers get files of the host */
async function introduce(
  { id, spec, config, policy, isPod }: Order,
  { share, log }: Place,
  { vm, client, network }: Running,
  taken: AsyncDisposableStack,
): Promise<Share> {
  const { agent } = client;
  // before all else that the guest is asked for
  if (config.agent.policy !== "") await givePolicy(client, config.agent.policy);
  const copied = policy.sharesFiles
    ? undefined
    : taken.use(await copiedFiles({ agent, log, memoryMiB: vm.memoryMiB }));
  await copied?.addSandboxMounts(config.runtime.sandbox_bind_mounts);
  // a device of the host takes a driver, which the guest may be told of with the sandbox
  const needsDrivers = network.nics.some(({ backend }) => backend.kind === "host-device");
  if (!needsDrivers) await network.attach({ vm, client });
  await agent.createSandbox(sandboxRequest(isPod ? id : "", spec, config), { timeoutMs: CALL_TIMEOUT_MS });
  if (needsDrivers) await network.attach({ vm, client });
  if (isPod && network.path !== undefined) {
    await openLoopback({ namespace: network.path, client, log }, taken);
  }
  return copied ?? share;
}

/** What the sandbox works with. Nothing of it has to be released. */
async function assemble(
  order: Order,
  place: Place,
  running: Running,
): Promise<Omit<SandboxParts, "share" | "taken">> {
  const { id, paths, host, policy, plan, atBoot, isPod } = order;
  const { record, log, cgroups, dir, user } = place;
  const { vm, client, network } = running;
  const fit = plan.isStatic ? undefined : new MachineFit({ machine: vm, agent: client.agent, ...plan, log });
  const pinning = policy.pinVcpus ? await vcpuPinning(vm, log) : undefined;
  const hostCpus = new HostCpus({ vm, cgroups, pinning, log });
  await hostCpus.place();
  const disks = new SandboxDisks(vm, log, cgroups);
  const folder = user === undefined ? `${paths.shared}/${id}` : dir;
  const swapNeeds = {
    folder,
    owner: user,
    disks,
    agent: client.agent,
    defaultMiB: plan.defaults.memoryMiB,
    log,
  };
  const swap = policy.guestSwap && fit ? await guestSwap(swapNeeds) : undefined;
  const hostDevices = await devicesFor({ vm, policy, network, atBoot, log });
  const local = new LocalVolumes();
  return {
    ...{ id, isPod, policy, host, record, log, cgroups },
    ...running,
    ...{ fit, swap, hostCpus, disks, hostDevices, local },
  };
}

async function vcpuPinning(vm: Vm, log: Log): Promise<VcpuPinning> {
  return new (await import("./machine/vcpu_pinning.ts")).VcpuPinning(() => vm.vcpuThreads(), log);
}

/** Few pods have devices of the host. */
async function groupsAtBoot(spec: Spec, policy: SandboxPolicy, host: Host): Promise<VfioGroup[]> {
  return (await import("./devices/equip_vfio.ts")).bootGroups(spec, policy.hostDevices, host.vfio);
}

async function roomForDevices(host: Host): Promise<HostDevice["memory"]> {
  return (await import("./devices/equip_vfio.ts")).roomForDevices(host.vfio);
}

interface DeviceNeeds extends Pick<SandboxParts, "vm" | "policy" | "network" | "log"> {
  readonly atBoot: readonly VfioGroup[];
}

async function devicesFor(
  { policy, network, ...needs }: DeviceNeeds,
): Promise<SandboxHostDevices | undefined> {
  const { atBoot: cold, later } = policy.hostDevices;
  if (!cold && !later) return undefined;
  const { SandboxHostDevices } = await import("./devices/host_devices.ts");
  return new SandboxHostDevices({ ...needs, later, onGone: (address) => network.deviceWent(address) });
}

const untraced: Around = async (_, run) => await run();

/** What takes note of the steps; of the front end's calls and the agent's, too. */
async function traced(order: Order, taken: AsyncDisposableStack): Promise<Around> {
  const { config: { runtime }, id: sandbox, front: log, taskDurations } = order;
  if (!runtime.enable_tracing) return untraced;
  const { Tracer } = await import("./tracing/tracer.ts");
  const { jaeger_endpoint: endpoint, jaeger_user: user, jaeger_password: password } = runtime;
  const tracer = taken.use(await Tracer.open({ endpoint, user, password, sandbox, log }));
  if (taskDurations !== undefined) taskDurations.around = tracer.around;
  return tracer.around;
}

/** Few guests are given any. */
async function initDataDisk(dir: string, encoded: string): Promise<InitDataDisk> {
  return await (await import("./machine/init_data.ts")).writeInitData(dir, encoded);
}

/** Few pods have one. */
async function givePolicy(client: Running["client"], policy: string): Promise<void> {
  await (await import("./guest/agent_policy.ts")).giveAgentPolicy(client, policy);
}

/** Few guests see no files. */
async function copiedFiles(options: CopiedFilesOptions): Promise<CopiedFiles> {
  return new (await import("./storage/copied_files.ts")).CopiedFiles(options);
}

/** Few pods swap, and only they load what it takes. */
async function guestSwap(options: GuestSwapOptions): Promise<GuestSwap> {
  return new (await import("./machine/guest_swap.ts")).GuestSwap(options);
}

/** A failure of port forwarding does not fail the sandbox. */
async function openLoopback(options: PodLoopbackOptions, taken: AsyncDisposableStack): Promise<void> {
  try {
    const { PodLoopback } = await import("./network/loopback.ts");
    taken.use(PodLoopback.open(options));
  } catch (error) {
    options.log.write("info", `ports of the pod's loopback cannot be forwarded: ${reason(error)}`);
  }
}

function networkNeeds({ id, spec, config }: Order, { record, log, machine }: Place): NetworkOptions {
  return {
    ...{ id, spec, config, queues: machine.vcpus, log },
    save: (network) => record.update({ network }),
  };
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
