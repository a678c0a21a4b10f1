import assert from "node:assert/strict";
import fc from "fast-check";
import { create, fromBinary, type Init, toBinary } from "../rpc/message.ts";
import { LinuxResourcesSchema, ProcessSchema, type Spec as WireSpec, SpecSchema } from "../rpc/gen/oci_pb.ts";
import type { Process, Resources, Spec } from "./spec.ts";
import {
  processFromWire,
  processToWire,
  resourcesFromWire,
  resourcesToWire,
  specFromWire,
  specToWire,
} from "./wire.ts";

function throughSpec(spec: Spec): Spec {
  return specFromWire(fromBinary(SpecSchema, toBinary(SpecSchema, specToWire(spec))));
}

function throughProcess(process: Process): Process {
  return processFromWire(fromBinary(ProcessSchema, toBinary(ProcessSchema, processToWire(process))));
}

function throughResources(resources: Resources): Resources {
  return resourcesFromWire(
    fromBinary(LinuxResourcesSchema, toBinary(LinuxResourcesSchema, resourcesToWire(resources))),
  );
}

/** What container engines send, with a value in every field that the messages have. */
const FULL: Spec = {
  ociVersion: "1.1.0",
  process: {
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 0, gid: 5, additionalGids: [1, 2], username: "who" },
    args: ["sh", "-c", ""],
    env: ["PATH=/bin", "EMPTY="],
    cwd: "/",
    capabilities: {
      bounding: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      permitted: [],
      inheritable: [],
      ambient: [],
    },
    rlimits: [
      { type: "RLIMIT_NOFILE", soft: 0, hard: 1024 },
      { type: "RLIMIT_CORE", soft: 5, hard: 0xffff_ffff_ffff_ffffn },
    ],
    noNewPrivileges: true,
    apparmorProfile: "profile",
    oomScoreAdj: -998,
    selinuxLabel: "label",
  },
  root: { path: "/rootfs", readonly: true },
  hostname: "host",
  mounts: [{ destination: "/proc", type: "proc", source: "proc", options: ["nosuid"] }, {
    destination: "/x",
  }],
  hooks: { prestart: [{ path: "/hook", args: ["a"], env: ["A=B"], timeout: 3 }] },
  annotations: { "io.kubernetes.cri.container-type": "sandbox", "__proto__x": "" },
  linux: {
    namespaces: [{ type: "uts" }, { type: "mount" }, { type: "ipc", path: "/x" }, { type: "user" }],
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    devices: [{ path: "/dev/sda", type: "b", major: 8, minor: 16, fileMode: 0o660, uid: 1, gid: 6 }],
    cgroupsPath: "/a/b",
    sysctl: { "net.ipv4.ip_forward": "1" },
    resources: {
      devices: [{ allow: false, access: "rwm" }, { allow: true, type: "c", major: 1, minor: 3, access: "r" }],
      memory: { limit: 1 << 20, reservation: 4096, swap: -1, swappiness: 60, disableOOMKiller: true },
      cpu: { shares: 1024, quota: -1, period: 100000, cpus: "0-1", mems: "0" },
      pids: { limit: 100 },
      blockIO: {
        weight: 10,
        weightDevice: [{ major: 8, minor: 0, weight: 500 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1_000_000 }],
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
      network: { classID: 1, priorities: [{ name: "eth0", priority: 0 }] },
    },
    seccomp: {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [{
        names: ["read"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 38,
        args: [{ index: 0, value: 0xffff_ffff_ffff_ffffn, op: "SCMP_CMP_EQ" }],
      }],
    },
    rootfsPropagation: "rslave",
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    mountLabel: "m",
  },
};

/**
 * As JSON with exact numbers, without fields that mean nothing on the wire (empty lists, zeros that are not
 * set).
 */
const CAPABILITIES_WITHOUT_EMPTY_SETS = { bounding: ["CAP_KILL"], effective: ["CAP_KILL"] };

Deno.test("a specification survives the wire, field by field", () => {
  assert.deepEqual(throughSpec(FULL), {
    ...FULL,
    process: { ...FULL.process, capabilities: CAPABILITIES_WITHOUT_EMPTY_SETS },
  });
});

Deno.test("what container engines send needs no field beyond the API's own", () => {
  assert.equal(create(SpecSchema, specToWire(FULL)).Extra, "");
});

Deno.test("what the messages have no field for arrives all the same", () => {
  const spec: Spec = {
    ...FULL,
    domainname: "domain",
    process: {
      ...FULL.process,
      user: { uid: 1, gid: 1, umask: 0o27 },
      scheduler: { policy: "SCHED_OTHER", nice: 0 },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
      capabilities: CAPABILITIES_WITHOUT_EMPTY_SETS,
    },
    mounts: [
      { destination: "/a" },
      {
        destination: "/b",
        source: "/c",
        options: ["bind"],
        uidMappings: [{ containerID: 0, hostID: 5, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: 6, size: 1 }],
      },
    ],
    linux: {
      ...FULL.linux,
      namespaces: [...FULL.linux?.namespaces ?? [], { type: "time" }],
      timeOffsets: { boottime: { secs: -9_007_199_254_740_993n } },
      resources: {
        cpu: { shares: 2, burst: 1, idle: 1 },
        unified: { "memory.high": "max" },
        pids: { limit: 0 },
      },
    },
  };
  assert.deepEqual(throughSpec(spec), spec);
});

Deno.test("a process survives the wire, its umask too", () => {
  const process: Process = { user: { uid: 0, gid: 0, umask: 0o22 }, args: ["a"], cwd: "/" };
  assert.deepEqual(throughProcess(process), process);
  assert.equal(create(ProcessSchema, processToWire(process)).Extra, `{"user":{"umask":18}}`);
});

Deno.test("a zero on the wire means not set", () => {
  const message = create(LinuxResourcesSchema, {
    Memory: { Limit: 0n },
    CPU: { Quota: 0n, Shares: 0n },
    Pids: {},
  });
  assert.deepEqual(resourcesFromWire(message), { memory: {}, cpu: {}, pids: { limit: -1 } });
  const process = create(ProcessSchema, { Args: ["a"], Cwd: "/", OOMScoreAdj: 0n });
  assert.deepEqual(processFromWire(process), { user: { uid: 0, gid: 0 }, args: ["a"], cwd: "/" });
});

Deno.test("a message that is no valid specification is refused with the JSON path", () => {
  const problems: [Init<WireSpec>, string][] = [
    [{}, "process must be an object: it is missing"],
    [
      { Process: { Cwd: "/" }, Root: { Path: "/r" } },
      "process.args must be a non-empty array of strings: it is []",
    ],
    [
      { Process: { Args: ["a"], Cwd: "x" }, Root: { Path: "/r" } },
      `process.cwd must be an absolute path: it is "x"`,
    ],
    [{ Process: { Args: ["a"], Cwd: "/" } }, "root must be an object: it is missing"],
    [{ Process: { Args: ["a"], Cwd: "/" }, Root: { Path: "/" }, Extra: "{" }, "is not valid JSON"],
  ];
  for (const [message, problem] of problems) {
    assert.throws(
      () => specFromWire(create<WireSpec>(SpecSchema, message)),
      (error: Error) => error.message.includes(problem),
    );
  }
});

Deno.test("any resources survive the wire", () => {
  const count = fc.oneof(
    fc.integer({ min: 1, max: 1 << 30 }),
    fc.bigInt({ min: 1n << 60n, max: (1n << 63n) - 1n }),
  );
  const word = fc.string({ minLength: 1 }).filter((text) => !text.includes("\0"));
  const resources = fc.record({
    memory: fc.record({ limit: count, swap: count, checkBeforeUpdate: fc.constant(true) }, {
      requiredKeys: [],
    }),
    cpu: fc.record({ shares: count, quota: count, idle: fc.constant(1) }, { requiredKeys: [] }),
    pids: fc.record({ limit: count }),
    unified: fc.dictionary(word, word, { minKeys: 1 }),
    hugepageLimits: fc.array(fc.record({ pageSize: fc.constant("2MB"), limit: count }), { minLength: 1 }),
  }, { requiredKeys: [] });
  fc.assert(fc.property(resources, (value) => {
    assert.deepEqual(throughResources(structuredClone(value)), structuredClone(value));
  }));
});

Deno.test("an error number of zero is something else than none", () => {
  const seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 0,
    syscalls: [
      { names: ["read"], action: "SCMP_ACT_ERRNO", errnoRet: 0 },
      { names: ["write"], action: "SCMP_ACT_ERRNO" },
    ],
  };
  const spec: Spec = { ...FULL, linux: { ...FULL.linux, seccomp } };
  assert.deepEqual(throughSpec(spec).linux?.seccomp, seccomp);
});

Deno.test("the first device of a kind is something else than all of them", () => {
  const devices = [
    { allow: true, type: "c", major: 5, minor: 0, access: "rwm" },
    { allow: true, type: "c", major: 136, access: "rwm" },
  ];
  const spec: Spec = { ...FULL, linux: { ...FULL.linux, resources: { devices } } };
  assert.deepEqual(throughSpec(spec).linux?.resources, { devices });
});
