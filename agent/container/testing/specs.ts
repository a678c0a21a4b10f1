/**
 * For tests: specifications as container engines make them. Those in testdata/specs were recorded: `ctr` of containerd
 * 1.6, `runc spec`, `crun spec`.
 */

import { CAPABILITIES, DEFAULT_CAPABILITIES } from "../../../oci/capabilities.ts";
import type { Linux, Mount, NamespaceType, Process, Spec } from "../../../oci/spec.ts";
import { parseSpec } from "../../../oci/validate.ts";
import { CONTAINERD, DOCKER } from "../seccomp/testing/profiles.ts";

type Change = (spec: Spec) => void;

/** Reads a recorded specification. */
function recorded(name: string): Spec {
  const file = new URL(`../testdata/specs/${name}.json`, import.meta.url);
  return parseSpec(Deno.readTextFileSync(file), name);
}

/** A recorded specification with changes. */
function made(name: string, ...changes: readonly Change[]): () => Spec {
  return () => {
    const spec = recorded(name);
    for (const change of changes) change(spec);
    return spec;
  };
}

const process = (change: Partial<Process>): Change => (spec) => void Object.assign(spec.process, change);
const linux = (change: Partial<Linux>): Change => (spec) => void (spec.linux = { ...spec.linux, ...change });
const mounts = (...list: readonly Mount[]): Change => (spec) => void spec.mounts?.push(...list);
const without = (...destinations: readonly string[]): Change => (spec) =>
  void (spec.mounts = spec.mounts?.filter(({ destination }) => !destinations.includes(destination)) ?? []);
const namespace = (type: NamespaceType, path?: string): Change => (spec) => {
  const others = spec.linux?.namespaces?.filter((entry) => entry.type !== type) ?? [];
  spec.linux = { ...spec.linux, namespaces: [...others, { type, ...(path && { path }) }] };
};
const noNamespace = (type: NamespaceType): Change => (spec) =>
  void (spec.linux = {
    ...spec.linux,
    namespaces: spec.linux?.namespaces?.filter((entry) => entry.type !== type) ?? [],
  });
const resources = (change: NonNullable<Linux["resources"]>): Change => (spec) =>
  void (spec.linux = { ...spec.linux, resources: { ...spec.linux?.resources, ...change } });

const sets = (names: readonly string[]) => ({
  bounding: [...names],
  effective: [...names],
  permitted: [...names],
});
const bind = (source: string, destination: string, ...options: string[]): Mount => ({
  destination,
  type: "bind",
  source,
  options: ["rbind", ...options],
});
const cgroup = (access: string): Mount => ({
  destination: "/sys/fs/cgroup",
  type: "cgroup",
  source: "cgroup",
  options: ["nosuid", "noexec", "nodev", "relatime", access],
});

const minimal = (change: Partial<Spec> = {}): () => Spec => () => ({
  ociVersion: "1.2.0",
  process: { user: { uid: 0, gid: 0 }, args: ["/bin/true"], cwd: "/" },
  root: { path: "rootfs" },
  ...change,
});

/** What is the same for all containers of Kubernetes pods by way of containerd. */
const kubernetes: readonly Change[] = [
  without("/run"),
  process({
    env: ["PATH=/usr/bin:/bin", "HOSTNAME=pod", "KUBERNETES_SERVICE_HOST=10.96.0.1"],
    oomScoreAdj: 1000,
  }),
  (spec) => void (spec.process.rlimits = []),
  mounts(
    cgroup("ro"),
    bind("/var/lib/kubelet/pods/1/etc-hosts", "/etc/hosts", "rprivate", "rw"),
    bind("/var/lib/kubelet/pods/1/containers/c/0", "/dev/termination-log", "rprivate", "rw"),
    bind("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/1/hostname", "/etc/hostname", "rprivate", "ro"),
    bind(
      "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/1/resolv.conf",
      "/etc/resolv.conf",
      "rprivate",
      "ro",
    ),
    bind(
      "/var/lib/kubelet/pods/1/volumes/token",
      "/var/run/secrets/kubernetes.io/serviceaccount",
      "rprivate",
      "ro",
    ),
  ),
  linux({ cgroupsPath: "/kubepods/besteffort/pod1/c1" }),
  namespace("ipc", "/proc/77/ns/ipc"),
  namespace("uts", "/proc/77/ns/uts"),
  namespace("network", "/proc/77/ns/net"),
  resources({
    memory: { limit: 268435456, swap: 268435456 },
    cpu: { shares: 512, quota: 50000, period: 100000 },
    pids: { limit: 4096 },
  }),
];

const docker: readonly Change[] = [
  without("/run"),
  mounts(
    cgroup("ro"),
    bind("/var/lib/docker/containers/1/resolv.conf", "/etc/resolv.conf", "rprivate"),
    bind("/var/lib/docker/containers/1/hostname", "/etc/hostname", "rprivate"),
    bind("/var/lib/docker/containers/1/hosts", "/etc/hosts", "rprivate"),
  ),
  process({
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=0123456789ab"],
    oomScoreAdj: 0,
    noNewPrivileges: false,
  }),
  (spec) => void (spec.hostname = "0123456789ab"),
  (spec) =>
    void (spec.hooks = {
      prestart: [{
        path: "/proc/1/exe",
        args: ["libnetwork-setkey", "-exec-root=/var/run/docker", "1", "2"],
      }],
    }),
  namespace("cgroup"),
  linux({
    cgroupsPath: "system.slice:docker:0123",
    seccomp: DOCKER,
    sysctl: { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" },
  }),
];

const maps = {
  uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
  gidMappings: [{ containerID: 0, hostID: 200000, size: 65536 }],
};

const privileged: readonly Change[] = [
  process({ capabilities: sets(CAPABILITIES), noNewPrivileges: false }),
  linux({ maskedPaths: [], readonlyPaths: [], seccomp: undefined }),
  without("/sys", "/sys/fs/cgroup"),
  mounts({
    destination: "/sys",
    type: "sysfs",
    source: "sysfs",
    options: ["nosuid", "noexec", "nodev", "rw"],
  }, cgroup("rw")),
  resources({ devices: [{ allow: true, access: "rwm" }] }),
];

/** By name; the first one is what the others are shown as differences from. */
export const SPECS: Readonly<Record<string, () => Spec>> = {
  containerd: made("containerd"),
  minimal: minimal(),
  runc: made("runc"),
  "runc-rootless": made("runc-rootless"),
  crun: made("crun"),
  "containerd-seccomp": made("containerd", linux({ seccomp: CONTAINERD })),
  "containerd-apparmor": made("containerd", process({ apparmorProfile: "cri-containerd.apparmor.d" })),
  "containerd-privileged": made("containerd", ...privileged),
  "containerd-terminal": made(
    "containerd",
    process({ terminal: true, consoleSize: { height: 50, width: 132 } }),
  ),
  "containerd-read-only": made("containerd", (spec) => void (spec.root.readonly = true)),
  "containerd-user": made(
    "containerd",
    process({ user: { uid: 1000, gid: 1000, additionalGids: [4, 24], umask: 0o77 } }),
  ),
  "containerd-host-network": made("containerd", noNamespace("network")),
  "containerd-joined-network": made("containerd", namespace("network", "/run/netns/blue")),
  "containerd-limits": made(
    "containerd",
    resources({
      memory: { limit: 67108864, reservation: 33554432 },
      cpu: { shares: 1024, quota: 150000, period: 100000, burst: 50000, cpus: "0-1", mems: "0" },
      pids: { limit: 100 },
    }),
  ),
  "containerd-io": made(
    "containerd",
    resources({
      blockIO: {
        weight: 300,
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1048576 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 100 }],
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }],
      rdma: { mlx5_0: { hcaHandles: 3 } },
    }),
  ),
  "containerd-unified": made(
    "containerd",
    resources({ unified: { "memory.high": "50000000", "cpu.weight": "50" } }),
  ),
  "containerd-devices": made(
    "containerd",
    linux({
      devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 }, {
        path: "/dev/pipe",
        type: "p",
        uid: 5,
        gid: 6,
      }],
    }),
    (spec) =>
      spec.linux?.resources?.devices?.push({ allow: true, type: "c", major: 10, minor: 229, access: "rwm" }),
  ),
  "containerd-binds": made(
    "containerd",
    mounts(bind("/srv/data", "/data", "rw"), bind("/srv/ro", "/ro", "ro", "nosuid"), {
      destination: "/rro",
      type: "bind",
      source: "/srv/rro",
      options: ["rbind", "rro", "rnosuid"],
    }, { destination: "/etc/app.conf", type: "bind", source: "/srv/app.conf", options: ["bind", "ro"] }),
  ),
  "containerd-propagation": made(
    "containerd",
    mounts(bind("/srv/shared", "/shared", "rshared"), bind("/srv/slave", "/slave", "rslave")),
    linux({ rootfsPropagation: "rshared" }),
  ),
  "containerd-hooks": made("containerd", (spec) =>
    void (spec.hooks = {
      prestart: [{ path: "/opt/prestart" }],
      createRuntime: [{ path: "/opt/network", args: ["network", "up"], env: ["A=b"], timeout: 5 }],
      createContainer: [{ path: "/opt/ldconfig" }],
      startContainer: [{ path: "/bin/ready" }],
      poststart: [{ path: "/opt/started" }],
      poststop: [{ path: "/opt/stopped" }],
    })),
  "containerd-labels": made(
    "containerd",
    process({ selinuxLabel: "system_u:system_r:container_t:s0:c1,c2" }),
    linux({ mountLabel: "system_u:object_r:container_file_t:s0:c1,c2" }),
  ),
  "containerd-user-namespace": made("containerd", namespace("user"), linux(maps)),
  "containerd-time-namespace": made(
    "containerd",
    namespace("time"),
    linux({ timeOffsets: { boottime: { secs: 86400 }, monotonic: { secs: -10, nanosecs: 5 } } }),
  ),
  "containerd-scheduler": made(
    "containerd",
    process({
      scheduler: { policy: "SCHED_BATCH", nice: 5 },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 },
    }),
    linux({ personality: { domain: "LINUX32" } }),
  ),
  "containerd-capabilities": made(
    "containerd",
    process({
      user: { uid: 7, gid: 7 },
      capabilities: {
        bounding: [...DEFAULT_CAPABILITIES],
        permitted: ["CAP_NET_BIND_SERVICE"],
        effective: ["CAP_NET_BIND_SERVICE"],
        inheritable: ["CAP_NET_BIND_SERVICE"],
        ambient: ["CAP_NET_BIND_SERVICE"],
      },
    }),
  ),
  "containerd-rdt": made("containerd", linux({ intelRdt: { closID: "guaranteed" } })),
  docker: made("containerd", ...docker),
  "docker-init": made(
    "containerd",
    ...docker,
    mounts(bind("/usr/bin/docker-init", "/sbin/docker-init", "ro")),
    process({ args: ["/sbin/docker-init", "--", "sh"] }),
  ),
  "docker-privileged": made("containerd", ...docker, ...privileged),
  "docker-userns": made("containerd", ...docker, namespace("user"), linux(maps)),
  "docker-tmpfs": made(
    "containerd",
    ...docker,
    mounts({
      destination: "/cache",
      type: "tmpfs",
      source: "tmpfs",
      options: ["noexec", "nosuid", "nodev", "size=65536k", "tmpcopyup"],
    }),
  ),
  "kubernetes-default": made("containerd", ...kubernetes),
  "kubernetes-restricted": made(
    "containerd",
    ...kubernetes,
    process({
      user: { uid: 65532, gid: 65532, additionalGids: [65532, 2000] },
      capabilities: {},
      noNewPrivileges: true,
    }),
    (spec) => void (spec.root.readonly = true),
    linux({ seccomp: CONTAINERD }),
  ),
  "kubernetes-privileged": made("containerd", ...kubernetes, ...privileged),
  "kubernetes-shared-pid": made("containerd", ...kubernetes, namespace("pid", "/proc/77/ns/pid")),
  "kubernetes-sysctls": made(
    "containerd",
    ...kubernetes,
    linux({ sysctl: { "kernel.shm_rmid_forced": "1", "net.core.somaxconn": "1024" } }),
  ),
  "kubernetes-user-namespace": made("containerd", ...kubernetes, namespace("user"), linux(maps)),
  "kubernetes-pause": made(
    "containerd",
    process({ args: ["/pause"], user: { uid: 65535, gid: 65535 }, oomScoreAdj: -998 }),
    (spec) => void (spec.root.readonly = true),
    resources({ cpu: { shares: 2 } }),
  ),
  systemd: made(
    "containerd",
    namespace("cgroup"),
    process({
      args: ["/lib/systemd/systemd"],
      env: ["container=oci", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      terminal: true,
      noNewPrivileges: false,
      capabilities: sets([...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"]),
    }),
    without("/sys/fs/cgroup"),
    mounts(cgroup("rw"), {
      destination: "/tmp",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "nodev", "mode=1777"],
    }, { destination: "/run/lock", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"] }),
    linux({ cgroupsPath: "/machine/systemd" }),
  ),
};
