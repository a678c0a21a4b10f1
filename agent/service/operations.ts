import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import { VolumeUsage_Unit } from "../../rpc/gen/csi_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { statfs } from "../../sys/statfs.ts";
import type { Logger } from "../log.ts";
import type { PacketFilterOptions } from "../packet_filter.ts";
import type { GuestMetrics } from "../metrics.ts";

/** What the handlers need. */
interface OperationOptions extends PacketFilterOptions {
  readonly log: Logger;
  /** How long a device may take to appear, or to grow, in milliseconds. */
  readonly hotplugTimeoutMs: number;
}

/** What the host's operators ask: metrics, volumes, packet filters. Seldom used, so what answers is loaded when it is. */
export function operationHandlers(options: OperationOptions): Handlers<typeof AgentService.methods> {
  let metrics: GuestMetrics | undefined;
  return {
    async getMetrics() {
      const { GuestMetrics } = await import("../metrics.ts");
      metrics ??= new GuestMetrics(options.log);
      return { metrics: metrics.text() };
    },
    async getIPTables({ isIpv6 }) {
      const { savedTables } = await import("../packet_filter.ts");
      return { data: await savedTables(isIpv6, options) };
    },
    async setIPTables({ isIpv6, data }) {
      const { restoreTables } = await import("../packet_filter.ts");
      return { data: await restoreTables(isIpv6, data, options) };
    },
    async resizeVolume({ volumeGuestPath, size }) {
      const { resizeVolume } = await import("../volume_resize.ts");
      await resizeVolume(volumeGuestPath, size, options.hotplugTimeoutMs);
      return {};
    },
    getVolumeStats({ volumeGuestPath }) {
      const { blockSize, blocks, blocksFree, files, filesFree } = statfs(volumeGuestPath);
      const usage = (unit: VolumeUsage_Unit, total: number, available: number) => ({
        unit,
        total: BigInt(total),
        available: BigInt(available),
        used: BigInt(total - available),
      });
      return {
        usage: [
          usage(VolumeUsage_Unit.BYTES, blocks * blockSize, blocksFree * blockSize),
          usage(VolumeUsage_Unit.INODES, files, filesFree),
        ],
        volumeCondition: { abnormal: false, message: "OK" },
      };
    },
  };
}
