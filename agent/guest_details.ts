import type { GuestDetailsRequest, GuestDetailsResponse } from "../rpc/gen/agent_pb.ts";
import { VERSION } from "../version.ts";
import { hasMemoryProbe, memoryBlockSize } from "./hotplug.ts";
import { DEVICE_TYPES } from "./devices/types.ts";
import { STORAGE_DRIVERS } from "./storage/drivers.ts";

/**
 * Capabilities of the agent and its guest.
 *
 * @param init whether the agent is PID 1
 */
export function guestDetails(request: GuestDetailsRequest, init: boolean): GuestDetailsResponse {
  return {
    memBlockSizeBytes: request.memBlockSize ? memoryBlockSize() : 0n,
    supportMemHotplugProbe: request.memHotplugProbe && hasMemoryProbe(),
    agentDetails: {
      version: VERSION,
      initDaemon: init,
      deviceHandlers: [...DEVICE_TYPES],
      storageHandlers: [...STORAGE_DRIVERS],
      supportsSeccomp: true,
      extraFeatures: ["agent-policy"],
    },
  };
}
