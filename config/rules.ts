/** What holds between keys and between them and the host, checked once all sources are merged. */

import { badSetting, ConfigError } from "./error.ts";
import {
  fileSize,
  findVirtiofsd,
  hostCpus,
  hostMemoryMiB,
  maxCpus,
  qemuPath,
  VIRTIOFSD_PATHS,
} from "./host.ts";
import type { Config, HYPERVISOR } from "./schema.ts";
import type { Settings } from "./settings.ts";

const MIB = 1024 * 1024;

type HypervisorKey = keyof typeof HYPERVISOR;

/**
 * Fills in what depends on the host, and checks the whole.
 *
 * @param searchPath the value of PATH
 * @throws {ConfigError}
 */
export function finish(settings: Settings, searchPath: string | undefined): Config {
  const config = settings.config();
  const { hypervisor, runtime } = config;
  limitCpus(config);
  limitMemory(config);
  if (hypervisor.path === "") hypervisor.path = qemuPath();
  requireFile(settings, "path", hypervisor.path);
  requireFile(settings, "kernel", hypervisor.kernel);
  checkRootFs(settings, config);
  if (hypervisor.firmware !== "") requireFile(settings, "firmware", hypervisor.firmware);
  if (hypervisor.shared_fs === "virtio-fs") findDaemon(settings, config, searchPath);
  if (runtime.disable_new_netns && runtime.internetworking_model !== "none") {
    throw badSetting(
      settings.origin("runtime", "disable_new_netns"),
      true,
      `needs internetworking_model = "none", which is "${runtime.internetworking_model}"`,
    );
  }
  return config;
}

function limitCpus({ hypervisor }: Config): void {
  const host = Math.min(hostCpus(), maxCpus);
  const { default_vcpus: vcpus, default_maxvcpus: limit } = hypervisor;
  hypervisor.default_vcpus = vcpus < 0 || vcpus > host ? host : vcpus;
  const most = limit === 0 ? host : Math.min(limit, maxCpus);
  hypervisor.default_maxvcpus = Math.max(most, Math.ceil(hypervisor.default_vcpus));
}

function limitMemory({ hypervisor }: Config): void {
  const host = hostMemoryMiB();
  const { default_maxmemory: most } = hypervisor;
  hypervisor.default_maxmemory = most === 0 || most > host ? host : most;
}

/** The guest starts from exactly one of initrd and image. */
function checkRootFs(settings: Settings, { hypervisor }: Config): void {
  const { initrd, image, default_memory: memory } = hypervisor;
  if (initrd !== "" && image !== "") {
    throw badSetting(
      settings.origin("hypervisor", "image"),
      image,
      `cannot be set together with initrd "${initrd}"`,
    );
  }
  if (image !== "") {
    requireContent(settings, "image", image);
    return;
  }
  const size = requireContent(settings, "initrd", initrd);
  // it is unpacked into memory
  if (size > MIB && size / MIB >= memory) {
    throw badSetting(
      settings.origin("hypervisor", "default_memory"),
      memory,
      `must be more than the ${Math.ceil(size / MIB)} MiB of the initrd "${initrd}"`,
    );
  }
}

function findDaemon(settings: Settings, { hypervisor }: Config, searchPath: string | undefined): void {
  if (hypervisor.virtio_fs_daemon !== "") {
    requireFile(settings, "virtio_fs_daemon", hypervisor.virtio_fs_daemon);
    return;
  }
  const found = findVirtiofsd(searchPath);
  if (found === undefined) {
    const places = VIRTIOFSD_PATHS.map((path) => `"${path}"`).join(", ");
    throw badSetting(
      settings.origin("hypervisor", "shared_fs"),
      hypervisor.shared_fs,
      `needs virtiofsd, which is not in ${places} or PATH: install it, set virtio_fs_daemon, ` +
        'or set shared_fs = "virtio-9p"',
    );
  }
  hypervisor.virtio_fs_daemon = found;
}

function requireContent(settings: Settings, key: HypervisorKey, path: string): number {
  const size = requireFile(settings, key, path);
  if (size === 0) throw badSetting(settings.origin("hypervisor", key), path, "must not be an empty file");
  return size;
}

/** @returns the file's size in bytes */
function requireFile(settings: Settings, key: HypervisorKey, path: string): number {
  const origin = settings.origin("hypervisor", key);
  if (path === "") throw new ConfigError(`${origin.where}: ${origin.key} is not set: must name a file`);
  const size = fileSize(path);
  if (size === undefined) throw badSetting(origin, path, "must be an existing file");
  return size;
}
