/**
 * Runtime options that come with a Create request.
 *
 * @module
 */

import { anyTypeName } from "../../rpc/any.ts";
import type { Any } from "../../rpc/gen/google/protobuf/any_pb.ts";
import { OptionsSchema } from "../../rpc/gen/runtimeoptions_pb.ts";
import { fromBinary } from "../../rpc/message.ts";

/** The second is what containerd up to 1.4 calls the same message. */
const OPTIONS_TYPES = new Set(["runtimeoptions.v1.Options", "cri.runtimeoptions.v1.Options"]);

/** The configuration file that a client asks for; options of other runtimes say nothing about it. */
export function configPathOf(options: Any | undefined): string | undefined {
  if (options === undefined || !OPTIONS_TYPES.has(anyTypeName(options))) return undefined;
  const path = fromBinary(OptionsSchema, options.value).configPath;
  return path === "" ? undefined : path;
}
