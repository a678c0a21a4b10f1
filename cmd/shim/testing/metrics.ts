/** For tests: counters, in whichever of the two messages they come. */

import assert from "node:assert/strict";
import { unpackAny } from "../../../rpc/any.ts";
import { MetricsSchema as V1 } from "../../../rpc/gen/cgroups_v1_pb.ts";
import { MetricsSchema as V2 } from "../../../rpc/gen/cgroups_v2_pb.ts";
import type { Any } from "../../../rpc/gen/google/protobuf/any_pb.ts";

/** Some of the counters. */
export interface Counters {
  readonly cpuMicroseconds: bigint | undefined;
  readonly memoryBytes: bigint | undefined;
  readonly memoryLimit: bigint | undefined;
}

/** Reads either message. */
export function countersIn(any: Any | undefined): Counters {
  const v1 = unpackAny(V1, any);
  if (v1) {
    const nanoseconds = v1.cpu?.usage?.total;
    return {
      cpuMicroseconds: nanoseconds === undefined ? undefined : nanoseconds / 1000n,
      memoryBytes: v1.memory?.usage?.usage,
      memoryLimit: v1.memory?.usage?.limit,
    };
  }
  const v2 = unpackAny(V2, any);
  assert.ok(v2, `unknown message "${any?.typeUrl}"`);
  const { cpu, memory } = v2;
  return { cpuMicroseconds: cpu?.usageUsec, memoryBytes: memory?.usage, memoryLimit: memory?.usageLimit };
}
