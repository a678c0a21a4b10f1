import assert from "node:assert/strict";
import { BootstrapParamsSchema, LogLevel } from "./gen/bootstrap_pb.ts";
import {
  AddSwapRequestSchema,
  CgroupStatsSchema,
  MemAgentMemcgConfigSchema,
  StatsContainerResponseSchema,
} from "./gen/agent_pb.ts";
import { PSIDataSchema } from "./gen/cgroups_v2_pb.ts";
import { LinuxSyscallSchema, ProcessSchema, SpecSchema } from "./gen/oci_pb.ts";
import { TaskExitSchema } from "./gen/events_pb.ts";
import { create, fromBinary, toBinary } from "./message.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

Deno.test("create() fills in the default of every field but messages and optional ones", () => {
  assert.deepEqual(create(MemAgentMemcgConfigSchema), {});
  assert.deepEqual(create(TaskExitSchema, { id: "x" }), { containerId: "", id: "x", pid: 0, exitStatus: 0 });
  const spec = create(SpecSchema, { Process: { Args: ["sh"] }, Annotations: { a: "b" } });
  assert.equal(spec.Process?.OOMScoreAdj, 0n);
  assert.deepEqual(spec.Process?.Args, ["sh"]);
  assert.deepEqual(spec.Annotations, { a: "b" });
  assert.deepEqual(spec.Mounts, []);
  assert.equal("Root" in spec, false);
});

Deno.test("create() copies lists and nested messages", () => {
  const args = ["a"];
  const spec = create(SpecSchema, { Process: { Args: args } });
  spec.Process?.Args.push("b");
  assert.deepEqual(args, ["a"]);
});

Deno.test("a negative enum takes ten bytes", () => {
  const bytes = toBinary(BootstrapParamsSchema, { logLevel: LogLevel.DEBUG });
  assert.deepEqual(bytes, hex("18 fc ff ff ff ff ff ff ff ff 01"));
  assert.equal(fromBinary(BootstrapParamsSchema, bytes).logLevel, LogLevel.DEBUG);
});

Deno.test("zero values are left out, except of optional fields", () => {
  const zeros = { Terminal: false, Cwd: "", OOMScoreAdj: 0n, Args: [], User: undefined };
  assert.equal(toBinary(ProcessSchema, zeros).length, 0);
  assert.deepEqual(toBinary(LinuxSyscallSchema, { errnoret: 0 }), hex("18 00"));
  assert.equal(fromBinary(LinuxSyscallSchema, hex("18 00")).errnoret, 0);
  assert.equal(fromBinary(LinuxSyscallSchema, hex("")).errnoret, undefined);
});

Deno.test("a negative zero is no zero value", () => {
  const bytes = toBinary(PSIDataSchema, { avg10: -0 });
  assert.deepEqual(bytes, hex("09 00 00 00 00 00 00 00 80"));
  assert.ok(Object.is(fromBinary(PSIDataSchema, bytes).avg10, -0));
});

Deno.test("lists of numbers are written packed and read in both forms", () => {
  assert.deepEqual(toBinary(AddSwapRequestSchema, { PCIPath: [1, 300] }), hex("0a 03 01 ac 02"));
  assert.deepEqual(fromBinary(AddSwapRequestSchema, hex("08 01 08 ac 02 0a 01 07")).PCIPath, [1, 300, 7]);
});

Deno.test("numbers of 64 bits keep all of them", () => {
  const stats = { cpuStats: { cpuUsage: { totalUsage: 2n ** 64n - 1n } } };
  const back = fromBinary(CgroupStatsSchema, toBinary(CgroupStatsSchema, stats));
  assert.equal(back.cpuStats?.cpuUsage?.totalUsage, 2n ** 64n - 1n);
});

Deno.test("unknown fields and foreign wire types are skipped", () => {
  // 15: varint, 16: 64 bit, 17: text, 18: 32 bit, 19: group; then field 1 as a varint, then field 2
  const bytes = hex(
    "78 01  81 01 0102030405060708  8a 01 01 ff  95 01 01020304  9b 01 08 01 9c 01  08 05  12 01 78",
  );
  assert.deepEqual(fromBinary(TaskExitSchema, bytes), { containerId: "", id: "x", pid: 0, exitStatus: 0 });
});

Deno.test("a singular field that comes twice: the last value counts, messages are merged", () => {
  const bytes = hex("0a 01 61 0a 01 62  2a 02 08 05 2a 02 10 07");
  assert.deepEqual(fromBinary(TaskExitSchema, bytes), {
    containerId: "b",
    id: "",
    pid: 0,
    exitStatus: 0,
    exitedAt: { seconds: 5n, nanos: 7 },
  });
});

Deno.test("map entries may lack their key or value, and may be called __proto__", () => {
  assert.deepEqual(fromBinary(SpecSchema, hex("3a 03 0a 01 61  3a 03 12 01 62")).Annotations, {
    a: "",
    "": "b",
  });
  const name = new TextEncoder().encode("__proto__").toHex();
  const map = fromBinary(SpecSchema, hex(`3a 0e 0a 09 ${name} 12 01 78`)).Annotations;
  assert.deepEqual(Object.entries(map), [["__proto__", "x"]]);
  assert.equal(({} as Record<string, unknown>).x, undefined);
});

Deno.test("bytes that are no message are refused", () => {
  for (
    const text of [
      "0a", // length missing
      "0a 05 61", // text shorter than its length
      "0a ff ff ff ff 0f", // length of 4 GiB
      "18", // number missing
      "18 ff ff ff ff ff ff ff ff ff ff 01", // number of more than ten bytes
      "2a 02 08", // nested message shorter than its length
      "2a 01 08", // nested message that ends inside a field
      "00", // field number 0
      "0f", // wire type 7
      "9b 01", // group without end
    ]
  ) assert.throws(() => fromBinary(TaskExitSchema, hex(text)), Error, text);
});

Deno.test("numbers that do not fit their field are refused", () => {
  assert.throws(() => toBinary(TaskExitSchema, { pid: -1 }), /uint32/);
  assert.throws(() => toBinary(TaskExitSchema, { pid: 1.5 }), /uint32/);
  assert.throws(() => toBinary(CgroupStatsSchema, { cpuStats: { cpuUsage: { totalUsage: -1n } } }), /uint64/);
});

Deno.test("a message of very many parts is refused before it takes a multiple of its size", () => {
  const filled = (...unit: number[]) =>
    new Uint8Array(4 * 2 ** 20).map((_, at) => unit[at % unit.length] ?? 0);
  const many = { message: "a message must have at most 262144 parts" };
  // lists of messages, of words, and of numbers, packed and not; a map; one message within another, again and again
  assert.throws(() => fromBinary(StatsContainerResponseSchema, filled(0x12, 0)), many);
  assert.throws(() => fromBinary(ProcessSchema, filled(0x1a, 0)), many);
  assert.throws(() => fromBinary(AddSwapRequestSchema, filled(0x08, 1)), many);
  const packed = filled(1);
  packed.set(hex("0a f0 ff ff 01"));
  assert.throws(() => fromBinary(AddSwapRequestSchema, packed), many);
  assert.throws(() => fromBinary(CgroupStatsSchema, filled(0x2a, 0)), many);
  assert.throws(() => fromBinary(StatsContainerResponseSchema, filled(0x0a, 0)), many);
  const args = Array.from({ length: 262_144 }, () => "");
  const most = toBinary(ProcessSchema, { Args: args });
  assert.equal(fromBinary(ProcessSchema, most).Args.length, 262_144);
});

Deno.test("groups in groups that nobody knows are an error, and no more", () => {
  const groups = new Uint8Array(4 * 2 ** 20).map((_, at) => at % 2 === 0 ? 0xf3 : 0x01);
  assert.throws(() => fromBinary(ProcessSchema, groups));
});
