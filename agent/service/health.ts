import { type Health, HealthCheckResponse_ServingStatus } from "../../rpc/gen/health_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { VERSION } from "../../version.ts";

/** Version of the agent's API; it has never changed. */
const API_VERSION = "0.0.1";

/** Whether the agent is there, and which. */
export const healthHandlers: Handlers<typeof Health.methods> = {
  check: () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
  version: () => ({ grpcVersion: API_VERSION, agentVersion: VERSION }),
};
