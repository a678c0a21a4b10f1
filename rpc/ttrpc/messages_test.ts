import assert from "node:assert/strict";
import { Code, RpcError } from "../errors.ts";
import { HealthCheckResponse_ServingStatus, HealthCheckResponseSchema } from "../gen/health_pb.ts";
import { toBinary } from "../message.ts";
import { HEADER_BYTES, MAX_DATA_BYTES } from "./frame.ts";
import {
  dataFrame,
  decodeRequest,
  decodeResponse,
  endFrame,
  errorFrame,
  metadataOf,
  requestFrame,
  responseFrame,
} from "./messages.ts";

const NOTHING = new Uint8Array();
const serving = toBinary(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVING });

const bytes = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const dataOf = (frame: Uint8Array) => frame.subarray(HEADER_BYTES);

Deno.test("frames are those of the protocol's examples, byte for byte", () => {
  const check = { service: "grpc.Health", method: "Check", timeoutMs: 30_000 };
  assert.deepEqual(
    requestFrame(1, 0, check, NOTHING),
    bytes(
      "00 00 00 1a 00 00 00 01 01 00" +
        "0a 0b 67 72 70 63 2e 48 65 61 6c 74 68 12 05 43 68 65 63 6b 20 80 d8 8e e1 6f",
    ),
  );
  assert.deepEqual(responseFrame(1, serving), bytes("00 00 00 04 00 00 00 01 02 00  12 02 08 01"));
  assert.deepEqual(responseFrame(3, NOTHING), bytes("00 00 00 00 00 00 00 03 02 00"));
  assert.deepEqual(
    errorFrame(5, new RpcError(Code.NotFound, "no such id")),
    bytes("00 00 00 10 00 00 00 05 02 00  0a 0e 08 05 12 0a 6e 6f 20 73 75 63 68 20 69 64"),
  );
  assert.deepEqual(endFrame(7), bytes("00 00 00 00 00 00 00 07 03 05"));
  assert.deepEqual(dataFrame(7, Uint8Array.of(1, 2)), bytes("00 00 00 02 00 00 00 07 03 00  01 02"));
});

Deno.test("responses are read in the styles of all known servers", () => {
  assert.deepEqual(decodeResponse(bytes("12 02 08 01")), serving);
  assert.deepEqual(decodeResponse(bytes("0a 00 12 02 08 01")), serving);
  assert.deepEqual(decodeResponse(NOTHING), NOTHING);
  assert.throws(() => decodeResponse(bytes("0a 0e 08 05 12 0a 6e 6f 20 73 75 63 68 20 69 64")), {
    name: "RpcError",
    code: Code.NotFound,
    message: "no such id",
  });
  assert.throws(() => decodeResponse(bytes("12 05")), { code: Code.Internal });
});

Deno.test("a request keeps all that was put into it", () => {
  const payload = new Uint8Array(300).fill(7);
  const metadata = { "Containerd-Namespace-TTRPC": "k8s.io", many: ["a", "b"] };
  const request = decodeRequest(
    dataOf(requestFrame(1, 0, { service: "s", method: "m", timeoutMs: 1.5, metadata }, payload)),
  );
  assert.equal(request.service, "s");
  assert.equal(request.method, "m");
  assert.equal(request.timeoutNano, 2_000_000n);
  assert.deepEqual(request.payload, payload);
  assert.deepEqual(
    [...metadataOf(request)],
    [["containerd-namespace-ttrpc", ["k8s.io"]], ["many", ["a", "b"]]],
  );
});

Deno.test("time limits beyond all bounds are none, or the longest there is", () => {
  const limit = (timeoutMs?: number) =>
    decodeRequest(dataOf(requestFrame(1, 0, { service: "s", method: "m", timeoutMs }, NOTHING))).timeoutNano;
  assert.equal(limit(), 0n);
  assert.equal(limit(Infinity), 0n);
  assert.equal(limit(0.1), 1_000_000n);
  assert.equal(limit(-0.1), -1_000_000n);
  assert.equal(limit(1e300), 9_000_000_000_000_000_000n);
});

Deno.test("the details of an error travel", () => {
  const details = [{ typeUrl: "some.Type", value: Uint8Array.of(1) }];
  assert.throws(() => decodeResponse(dataOf(errorFrame(1, new RpcError(99, "odd", { details })))), {
    code: 99,
    details,
  });
});

Deno.test("what is longer than a frame is refused here, or replaced by an error", () => {
  const head = { service: "s", method: "m" };
  const largest = new Uint8Array(MAX_DATA_BYTES - 11);
  assert.equal(dataOf(requestFrame(1, 0, head, largest)).length, MAX_DATA_BYTES);
  const longer = new Uint8Array(MAX_DATA_BYTES - 10);
  assert.throws(() => requestFrame(1, 0, head, longer), {
    code: Code.ResourceExhausted,
    message: "cannot call s/m: request of 4194305 bytes exceeds 4194304",
  });
  assert.throws(() => dataFrame(1, new Uint8Array(MAX_DATA_BYTES + 1)), { code: Code.ResourceExhausted });
  assert.throws(() => decodeResponse(dataOf(responseFrame(1, new Uint8Array(MAX_DATA_BYTES)))), {
    code: Code.ResourceExhausted,
    message: "response of 4194309 bytes exceeds 4194304",
  });
  const long = new RpcError(Code.Unknown, "x".repeat(5_000_000), {
    details: [{ typeUrl: "t", value: new Uint8Array(MAX_DATA_BYTES) }],
  });
  assert.throws(() => decodeResponse(dataOf(errorFrame(1, long))), (error) => {
    assert.ok(error instanceof RpcError);
    assert.equal(error.message, `${"x".repeat(256 * 1024)} ...`);
    return true;
  });
});
