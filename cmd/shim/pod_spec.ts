/**
 * A pod's configuration, as newer containerds hand it over, in the form that a sandbox is made from otherwise: the
 * specification of a pause container.
 *
 * @module
 */

import type { Mount, Spec } from "../../oci/spec.ts";
import { anyTypeName } from "../../rpc/any.ts";
import { Code, RpcError } from "../../rpc/errors.ts";
import { type DNSConfig, type PodSandboxConfig, PodSandboxConfigSchema } from "../../rpc/gen/cri_pb.ts";
import type { CreateSandboxRequest } from "../../rpc/gen/sandbox_pb.ts";
import { basename } from "../../sys/path.ts";
import { create, fromBinary } from "../../rpc/message.ts";

const RESOLV_CONF = "/etc/resolv.conf";

const CRI = "io.kubernetes.cri";

/** @throws {RpcError} `INVALID_ARGUMENT` for a configuration of another kind */
export function podConfigOf({ options }: CreateSandboxRequest): PodSandboxConfig {
  if (options === undefined) return create(PodSandboxConfigSchema);
  const name = anyTypeName(options);
  if (name !== PodSandboxConfigSchema.typeName) {
    throw new RpcError(
      Code.InvalidArgument,
      `the options of a sandbox must hold a ${PodSandboxConfigSchema.typeName}: they hold "${options.typeUrl}"`,
    );
  }
  return fromBinary(PodSandboxConfigSchema, options.value);
}

/** A file that all containers of a pod have, unless they have their own. */
export interface PodFile {
  readonly destination: string;
  readonly text: string;
}

/** The files of a pod; the engine leaves them to the shim. */
export function podFiles({ hostname, dnsConfig }: PodSandboxConfig): PodFile[] {
  const files = [
    { destination: RESOLV_CONF, text: resolvConfOf(dnsConfig) },
    { destination: "/etc/hostname", text: hostname === "" ? "" : `${hostname}\n` },
  ];
  return files.filter(({ text }) => text !== "");
}

/** A container's specification with the pod's files, where it has no mounts of its own. */
export function withPodMounts(spec: Spec, podMounts: readonly Mount[]): Spec {
  const mounts = spec.mounts ?? [];
  const missing = podMounts.filter(({ destination }) =>
    mounts.every((mount) => mount.destination !== destination)
  );
  return missing.length === 0 ? spec : { ...spec, mounts: [...mounts, ...missing] };
}

/** @param podMounts the pod's files on the host */
export function podSpec(
  request: CreateSandboxRequest,
  config: PodSandboxConfig,
  podMounts: readonly Mount[],
): Spec {
  const { sandboxId, netnsPath, annotations } = request;
  return {
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    // it is never run: the pod has no pause container
    process: { args: ["pause"], cwd: "/", user: { uid: 0, gid: 0 } },
    hostname: config.hostname,
    mounts: podMounts.filter(({ destination }) => destination === RESOLV_CONF),
    annotations: {
      ...config.annotations,
      ...annotations,
      ...announced(config),
      [`${CRI}.container-type`]: "sandbox",
      [`${CRI}.sandbox-id`]: sandboxId,
    },
    linux: {
      namespaces: [{ type: "network", ...(netnsPath !== "" && { path: netnsPath }) }],
      sysctl: { ...config.linux?.sysctls },
      ...cgroupOf(config, sandboxId),
    },
  };
}

/** Below the pod's cgroup on the host, as engines name that of a pause container. */
function cgroupOf(
  { linux }: PodSandboxConfig,
  sandboxId: string,
): Pick<NonNullable<Spec["linux"]>, "cgroupsPath"> {
  const parent = linux?.cgroupParent ?? "";
  if (parent === "") return {};
  const name = basename(parent);
  return {
    cgroupsPath: name.endsWith(".slice") ? `${name}:cri-containerd:${sandboxId}` : `${parent}/${sandboxId}`,
  };
}

/** What all containers together are going to need, under the names that engines have for it. */
function announced({ linux }: PodSandboxConfig): Record<string, string> {
  const { cpuPeriod = 0n, cpuQuota = 0n, memoryLimitInBytes = 0n } = linux?.resources ?? {};
  const all = { "cpu-period": cpuPeriod, "cpu-quota": cpuQuota, "memory": memoryLimitInBytes };
  const known = Object.entries(all).filter(([, value]) => value > 0n);
  return Object.fromEntries(known.map(([name, value]) => [`${CRI}.sandbox-${name}`, String(value)]));
}

/** The text of a `resolv.conf`; empty if there is nothing to say. */
function resolvConfOf(dns: DNSConfig | undefined): string {
  const { servers = [], searches = [], options = [] } = dns ?? {};
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
