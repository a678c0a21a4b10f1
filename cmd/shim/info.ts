/**
 * `-info`: what this runtime is, for containerd's introspection.
 *
 * @module
 */

import { AnySchema } from "../../rpc/gen/google/protobuf/any_pb.ts";
import { RuntimeInfoSchema } from "../../rpc/gen/introspection_pb.ts";
import { fromBinary, toBinary } from "../../rpc/message.ts";
import { COMMIT, VERSION } from "../../version.ts";

const FEATURES_URL = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/** What is supported of the runtime specification; user namespaces and id-mapped mounts are not. */
const FEATURES = {
  ociVersionMin: "1.0.0",
  ociVersionMax: "1.2.0",
  linux: {
    namespaces: ["cgroup", "ipc", "mount", "network", "pid", "uts"],
    cgroup: { v1: false, v2: true, systemd: false, systemdUser: false, rdma: false },
    seccomp: { enabled: false },
    apparmor: { enabled: false },
    selinux: { enabled: false },
  },
};

/** Reads options from standard input, writes a RuntimeInfo to standard output. @returns the exit code */
export async function info(): Promise<number> {
  const input = Deno.stdin.isTerminal() ? new Uint8Array() : await readAll();
  const answer = toBinary(RuntimeInfoSchema, {
    name: "io.containerd.kata.v2",
    version: { version: VERSION, revision: COMMIT },
    options: input.length === 0 ? undefined : fromBinary(AnySchema, input),
    features: { typeUrl: FEATURES_URL, value: new TextEncoder().encode(JSON.stringify(FEATURES)) },
  });
  for (let done = 0; done < answer.length;) done += await Deno.stdout.write(answer.subarray(done));
  return 0;
}

async function readAll(): Promise<Uint8Array> {
  return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
}
