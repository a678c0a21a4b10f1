/**
 * What stands on the standard input of `start`: bootstrap parameters (containerd from 2.3 on) or bare options.
 *
 * @module
 */

import { type BootstrapParams, BootstrapParamsSchema } from "../../rpc/gen/bootstrap_pb.ts";
import { AnySchema } from "../../rpc/gen/google/protobuf/any_pb.ts";
import { fromBinary } from "../../rpc/message.ts";
import type { ShimFlags } from "./flags.ts";
import { configPathOf } from "./options.ts";

/**
 * The parameters, if the input is such a message. Options have a string in field 1, too, so only a message that
 * repeats the command line's id and namespace counts.
 */
export function bootstrapOf(input: Uint8Array, flags: ShimFlags): BootstrapParams | undefined {
  try {
    const params = fromBinary(BootstrapParamsSchema, input);
    return params.instanceId === flags.id && params.namespace === flags.namespace ? params : undefined;
  } catch {
    return undefined;
  }
}

/** The configuration file that the input names, in either of its forms. */
export function configPathIn(input: Uint8Array, params: BootstrapParams | undefined): string | undefined {
  try {
    const options = params?.extensions.map(({ value }) => value) ?? [fromBinary(AnySchema, input)];
    return options.map(configPathOf).find((path) => path !== undefined);
  } catch {
    return undefined;
  }
}
