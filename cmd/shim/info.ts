/**
 * `-info`: what this runtime is, for containerd's introspection.
 *
 * @module
 */

import { mountOptionNames } from "../../oci/mount_options.ts";
import { COMMIT, VERSION } from "../../version.ts";
import { readInput } from "./read_input.ts";
import { RUNTIME_NAME } from "./version_text.ts";

const FEATURES_URL = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/**
 * What is supported of the runtime specification. Engines take id-mapped mounts for a promise of user namespaces for
 * whole pods, with roots and volumes that are mapped on the host, which there are not.
 */
const FEATURES = {
  ociVersionMin: "1.0.0",
  ociVersionMax: "1.3.0",
  hooks: ["prestart", "createRuntime", "startContainer", "poststart", "poststop"],
  mountOptions: mountOptionNames(),
  linux: {
    namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
    cgroup: { v1: false, v2: true, systemd: false, systemdUser: false, rdma: false },
    seccomp: {
      enabled: true,
      actions: [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
      ],
      operators: ["EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"].map((name) => `SCMP_CMP_${name}`),
      archs: ["AARCH64", "ARM", "X32", "X86", "X86_64"].map((name) => `SCMP_ARCH_${name}`),
      supportedFlags: ["LOG", "SPEC_ALLOW", "TSYNC", "WAIT_KILLABLE_RECV"].map((name) =>
        `SECCOMP_FILTER_FLAG_${name}`
      ),
    },
    apparmor: { enabled: false },
    selinux: { enabled: false },
    intelRdt: { enabled: false },
    netDevices: { enabled: false },
  },
};

/** Reads options from standard input, writes a RuntimeInfo to standard output. @returns the exit code */
export function info(): number {
  const answer = runtimeInfo(readInput());
  for (let done = 0; done < answer.length;) done += Deno.stdout.writeSync(answer.subarray(done));
  return 0;
}

/**
 * A `containerd.runtime.info` message: 1 name, 2 version {1 version, 2 revision}, 3 options, 4 features {1 type_url,
 * 2 value}.
 *
 * All of it is text and messages within messages, so it is put together here: the protobuf library would be a fifth of
 * the whole start.
 *
 * @param options the encoded message that came, which is given back as it is
 */
export function runtimeInfo(options: Uint8Array): Uint8Array {
  const version = [...field(1, text(VERSION)), ...field(2, text(COMMIT))];
  const features = [...field(1, text(FEATURES_URL)), ...field(2, text(JSON.stringify(FEATURES)))];
  return new Uint8Array([
    ...field(1, text(RUNTIME_NAME)),
    ...field(2, version),
    ...field(3, options),
    ...field(4, features),
  ]);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** A length-delimited field; an empty one is left out. */
function field(number: number, value: ArrayLike<number> & Iterable<number>): number[] {
  const DELIMITED = 2;
  return value.length === 0 ? [] : [(number << 3) | DELIMITED, ...varint(value.length), ...value];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
