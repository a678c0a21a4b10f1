// Generated from runtimeoptions.proto by "deno task gen". Do not edit.
// Messages are plain objects; create, toBinary and fromBinary for their schemas are in rpc/message.ts.

import { type Schema, message } from "../message.ts";

export interface Options {
  /** meaning of the file/body, usually empty */
  typeUrl: string;
  /** path of the runtime configuration file */
  configPath: string;
  /** TOML text */
  configBody: Uint8Array;
}

export const OptionsSchema: Schema<Options> = message("runtimeoptions.v1.Options", () => [
  [1, "typeUrl", "string"],
  [2, "configPath", "string"],
  [3, "configBody", "bytes"],
]);
