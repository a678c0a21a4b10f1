import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import { VolumeUsage_Unit } from "../../rpc/gen/csi_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { statfs } from "../../sys/statfs.ts";
import type { Logger } from "../log.ts";
import type { GuestMetrics } from "../metrics.ts";

/** What the host's operators ask: metrics and volumes. Seldom used, so what answers is loaded when it is. */
export function operationHandlers(options: { log: Logger }): Handlers<typeof AgentService.methods> {
  let metrics: GuestMetrics | undefined;
  return {
    async getMetrics() {
      const { GuestMetrics } = await import("../metrics.ts");
      metrics ??= new GuestMetrics(options.log);
      return { metrics: metrics.text() };
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
