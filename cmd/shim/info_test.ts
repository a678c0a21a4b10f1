import assert from "node:assert/strict";
import { HOOK_KINDS } from "../../oci/hooks.ts";
import { packAny } from "../../rpc/any.ts";
import { AnySchema } from "../../rpc/gen/google/protobuf/any_pb.ts";
import { RuntimeInfoSchema } from "../../rpc/gen/introspection_pb.ts";
import { OptionsSchema } from "../../rpc/gen/runtimeoptions_pb.ts";
import { fromBinary, toBinary } from "../../rpc/message.ts";
import { VERSION } from "../../version.ts";
import { runtimeInfo } from "./info.ts";

Deno.test("the answer is a RuntimeInfo, with the options that were given", () => {
  const options = packAny(OptionsSchema, { configPath: `/${"x".repeat(300)}` });
  const info = fromBinary(RuntimeInfoSchema, runtimeInfo(toBinary(AnySchema, options)));
  assert.equal(info.name, "io.containerd.kata.v2");
  assert.equal(info.version?.version, VERSION);
  assert.deepEqual(info.options, options);
  assert.match(info.features?.typeUrl ?? "", /\/features\/Features$/);
  const features = JSON.parse(new TextDecoder().decode(info.features?.value));
  assert.equal(features.linux.cgroup.v2, true);
  assert.deepEqual([features.ociVersionMin, features.ociVersionMax], ["1.0.0", "1.3.0"]);
  // That of the host's programs which would run in the guest's namespaces is refused.
  assert.deepEqual(HOOK_KINDS.filter((kind) => !features.hooks.includes(kind)), ["createContainer"]);
  for (const option of ["ro", "rro", "rbind", "rslave"]) {
    assert(features.mountOptions.includes(option), option);
  }
  assert.equal(features.linux.mountExtensions, undefined);
});

Deno.test("the answer is encoded as the protobuf library does it", () => {
  const bytes = runtimeInfo(new Uint8Array());
  assert.deepEqual(toBinary(RuntimeInfoSchema, fromBinary(RuntimeInfoSchema, bytes)), bytes);
});
