import assert from "node:assert/strict";
import { AnySchema } from "../../rpc/gen/google/protobuf/any_pb.ts";
import { BootstrapParamsSchema } from "../../rpc/gen/bootstrap_pb.ts";
import { OptionsSchema } from "../../rpc/gen/runtimeoptions_pb.ts";
import { packAny } from "../../rpc/any.ts";
import { toBinary } from "../../rpc/message.ts";
import { bootstrapOf, configPathIn } from "./bootstrap.ts";
import { parseFlags } from "./flags.ts";
import { configPathOf } from "./options.ts";

const flags = parseFlags(["-namespace", "ns", "-id", "c1"]);

Deno.test("bootstrap parameters count when they repeat the command line", () => {
  const params = { instanceId: "c1", namespace: "ns", socketDir: "/s", logLevel: -4 };
  assert.equal(bootstrapOf(toBinary(BootstrapParamsSchema, params), flags)?.socketDir, "/s");
  const other = toBinary(BootstrapParamsSchema, { ...params, instanceId: "c2" });
  assert.equal(bootstrapOf(other, flags), undefined);
});

Deno.test("bare options, and rubbish, are no bootstrap parameters", () => {
  const options = toBinary(AnySchema, packAny(OptionsSchema, { configPath: "/c.toml" }));
  assert.equal(bootstrapOf(options, flags), undefined);
  assert.equal(bootstrapOf(new Uint8Array([0xff, 0xff, 0xff]), flags), undefined);
});

Deno.test("the configuration file is taken from options of any spelling, and from no others", () => {
  const value = toBinary(OptionsSchema, { configPath: "/c.toml" });
  for (const typeUrl of ["runtimeoptions.v1.Options", "type.googleapis.com/cri.runtimeoptions.v1.Options"]) {
    assert.equal(configPathOf({ typeUrl, value }), "/c.toml");
  }
  assert.equal(configPathOf({ typeUrl: "containerd.runc.v1.Options", value }), undefined);
  assert.equal(configPathOf({ typeUrl: "runtimeoptions.v1.Options", value: new Uint8Array() }), undefined);
  assert.equal(configPathOf(undefined), undefined);
});

Deno.test("the configuration file is found in bare options and in bootstrap parameters", () => {
  const options = packAny(OptionsSchema, { configPath: "/c.toml" });
  assert.equal(configPathIn(toBinary(AnySchema, options), undefined), "/c.toml");
  const params = { instanceId: "c1", namespace: "ns", extensions: [{ value: options }] };
  const bytes = toBinary(BootstrapParamsSchema, params);
  assert.equal(configPathIn(bytes, bootstrapOf(bytes, flags)), "/c.toml");
  assert.equal(configPathIn(new Uint8Array([0xff]), undefined), undefined);
});
