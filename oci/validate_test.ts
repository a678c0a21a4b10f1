import assert from "node:assert/strict";
import fc from "fast-check";
import { parseProcess, parseResources, parseSpec, SpecError } from "./validate.ts";

const MINIMAL = {
  ociVersion: "1.2.0",
  process: { user: { uid: 0, gid: 0 }, args: ["sh"], cwd: "/" },
  root: { path: "rootfs" },
};

/** The minimal specification with one value put in at a path such as `process.args[0]`. */
function specWith(path: string, value: unknown): string {
  const spec = structuredClone(MINIMAL) as Record<string, unknown>;
  const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
  let at: Record<string, unknown> = spec;
  for (const [index, key] of keys.entries()) {
    if (index === keys.length - 1) at[key] = value;
    else at = (at[key] ??= /^[0-9]+$/.test(keys[index + 1] ?? "") ? [] : {}) as Record<string, unknown>;
  }
  return JSON.stringify(spec);
}

Deno.test("parseSpec() accepts the least there can be", () => {
  assert.deepEqual(parseSpec(JSON.stringify(MINIMAL), "config.json"), MINIMAL);
});

Deno.test("parseSpec() takes any version of major 1, and devices that need no number", () => {
  for (const ociVersion of ["1.0.0", "1.0.0-rc5", "1.2.1+dev", "1.99.0"]) {
    assert.equal(parseSpec(JSON.stringify({ ...MINIMAL, ociVersion }), "x").ociVersion, ociVersion);
  }
  parseSpec(specWith("linux.devices", [{ path: "/dev/fifo", type: "p" }]), "x");
});

Deno.test("parseSpec() names the document, the JSON path and the value of what is wrong", () => {
  const cases: [path: string, value: unknown, problem: string][] = [
    ["ociVersion", undefined, "ociVersion must be a string: it is missing"],
    ["ociVersion", "1.0", 'ociVersion must be a version such as "1.2.0": it is "1.0"'],
    ["ociVersion", "2.0.0", 'ociVersion must be a version of major 1: it is "2.0.0"'],
    ["process", [], "process must be an object: it is []"],
    ["process.args", [], "process.args must be a non-empty array of strings: it is []"],
    ["process.args", null, "process.args must be a non-empty array of strings: it is null"],
    ["process.args", ["a", 1], "process.args[1] must be a string: it is 1"],
    ["process.args", ["a\0b"], `process.args[0] must be a string without NUL bytes: it is "a\\u0000b"`],
    ["process.cwd", "tmp", `process.cwd must be an absolute path: it is "tmp"`],
    ["process.env", ["A"], `process.env[0] must have the form NAME=VALUE: it is "A"`],
    ["process.env", ["=A"], `process.env[0] must have the form NAME=VALUE: it is "=A"`],
    ["process.user.uid", -1, "process.user.uid must be a whole number from 0 to 4294967294: it is -1"],
    // The kernel would leave the user as it is: root.
    [
      "process.user.uid",
      0xffff_ffff,
      "process.user.uid must be a whole number from 0 to 4294967294: it is 4294967295",
    ],
    [
      "process.user.additionalGids",
      [0xffff_ffff],
      "process.user.additionalGids[0] must be a whole number from 0 to 4294967294: it is 4294967295",
    ],
    ["process.user.gid", 1.5, "process.user.gid must be a whole number from 0 to 4294967294: it is 1.5"],
    ["process.user.umask", 512, "process.user.umask must be a whole number from 0 to 511: it is 512"],
    ["process.terminal", "yes", `process.terminal must be true or false: it is "yes"`],
    [
      "process.oomScoreAdj",
      1001,
      "process.oomScoreAdj must be a whole number from -1000 to 1000: it is 1001",
    ],
    [
      "process.rlimits",
      [{ type: "RLIMIT_FOO", soft: 1, hard: 1 }],
      `process.rlimits[0].type is not a known resource limit: it is "RLIMIT_FOO"`,
    ],
    [
      "process.rlimits",
      [{ type: "RLIMIT_CPU", soft: 2, hard: 1 }],
      "process.rlimits[0].soft must not be above the hard limit 1: it is 2",
    ],
    [
      "process.rlimits",
      [{ type: "RLIMIT_CPU", soft: 1, hard: 1 }, { type: "RLIMIT_CPU", soft: 1, hard: 1 }],
      `process.rlimits[1].type is given twice: it is "RLIMIT_CPU"`,
    ],
    [
      "process.capabilities.bounding",
      ["CAP KILL"],
      `process.capabilities.bounding[0] must be a capability name: it is "CAP KILL"`,
    ],
    ["root.path", "", `root.path must be a non-empty string: it is ""`],
    ["root.readonly", 1, "root.readonly must be true or false: it is 1"],
    ["mounts", {}, "mounts must be an array: it is {}"],
    ["mounts", [{}], "mounts[0].destination must be a string: it is missing"],
    ["mounts", [{ destination: "/./" }], `mounts[0].destination must not be the root itself: it is "/./"`],
    [
      "mounts",
      [{ destination: "/a", options: "ro" }],
      `mounts[0].options must be an array of strings: it is "ro"`,
    ],
    ["hostname", "h", `hostname needs a namespace of type "uts" in linux.namespaces`],
    ["linux.namespaces", [{ type: "net" }], `linux.namespaces[0].type must be one of "pid", "network"`],
    [
      "linux.namespaces",
      [{ type: "pid" }, { type: "pid" }],
      `linux.namespaces[1].type is given twice: it is "pid"`,
    ],
    [
      "linux.namespaces",
      [{ type: "pid", path: "x" }],
      `linux.namespaces[0].path must be absolute: it is "x"`,
    ],
    ["linux.maskedPaths", ["/proc/kcore"], `linux.maskedPaths needs a namespace of type "mount"`],
    [
      "linux.uidMappings",
      [{ containerID: 0, hostID: 0, size: 1 }],
      `linux.uidMappings needs a namespace of type "user"`,
    ],
    [
      "linux.devices",
      [{ path: "/dev/x", type: "x" }],
      `linux.devices[0].type must be one of "c", "u", "b", "p": it is "x"`,
    ],
    [
      "linux.devices",
      [{ path: "/dev/x", type: "c", major: 1 }],
      'linux.devices[0].minor must be given for a device of the type "c": it is missing',
    ],
    [
      "linux.devices",
      [{ path: "/dev/x", type: "b", major: 4096, minor: 0 }],
      "linux.devices[0].major must be a whole number from 0 to 4095: it is 4096",
    ],
    [
      "linux.resources.memory.limit",
      "1G",
      "linux.resources.memory.limit must be a whole number from -9223372036854775808",
    ],
    ["linux.sysctl", { a: 1 }, `linux.sysctl["a"] must be a string: it is 1`],
  ];
  for (const [path, value, problem] of cases) {
    const parse = () => parseSpec(specWith(path, value), "config.json");
    assert.throws(parse, (error: unknown) => {
      assert.ok(error instanceof SpecError, `${error}`);
      assert.ok(
        error.message.startsWith(`config.json: ${problem}`),
        `"${error.message}" is not "${problem}"`,
      );
      return true;
    }, `${path} = ${JSON.stringify(value)}`);
  }
});

Deno.test("parseSpec() says what is wrong with JSON that is none", () => {
  assert.throws(() => parseSpec("{", "/b/config.json"), /^SpecError: \/b\/config\.json: is not valid JSON: /);
  assert.throws(() => parseSpec("[]", "c"), { message: "c: must be an object: it is []" });
});

Deno.test("parseSpec() keeps fields that it does not know, and takes null for missing", () => {
  const spec = parseSpec(specWith("process", { ...MINIMAL.process, env: null, brandNew: { a: [1] } }), "c");
  assert.deepEqual(spec.process, { ...MINIMAL.process, brandNew: { a: [1] } });
});

Deno.test("parseSpec() keeps numbers of 64 bits exact", () => {
  const text = specWith("process.rlimits", []).replace(
    `"rlimits":[]`,
    `"rlimits":[{"type":"RLIMIT_NOFILE","soft":1024,"hard":18446744073709551615}]`,
  );
  assert.deepEqual(parseSpec(text, "c").process.rlimits, [
    { type: "RLIMIT_NOFILE", soft: 1024, hard: 18446744073709551615n },
  ]);
});

Deno.test("parseSpec() accepts what Docker and containerd put there for the host", () => {
  const spec = parseSpec(
    JSON.stringify({
      ...MINIMAL,
      hooks: { prestart: [{ path: "/usr/bin/hook", args: ["hook"], timeout: 5 }] },
      hostname: "h",
      linux: {
        namespaces: [{ type: "uts" }, { type: "mount" }, { type: "network", path: "/proc/1/ns/net" }],
        resources: {
          devices: [{ allow: false, access: "rwm" }],
          blockIO: { weight: 0 },
          network: { classID: 0 },
        },
        seccomp: {
          defaultAction: "SCMP_ACT_ERRNO",
          defaultErrnoRet: 1,
          syscalls: [{
            names: ["socket"],
            action: "SCMP_ACT_ALLOW",
            args: [{ index: 0, value: 40, op: "SCMP_CMP_NE" }],
          }],
        },
        maskedPaths: ["/proc/kcore"],
      },
    }),
    "c",
  );
  assert.equal(spec.linux?.seccomp?.syscalls?.length, 1);
});

Deno.test("parseSpec() answers any JSON with a specification or a SpecError", () => {
  fc.assert(fc.property(fc.json(), fc.constantFrom("process", "linux", "mounts", "root", ""), (json, key) => {
    const text = key === "" ? json : JSON.stringify({ ...MINIMAL, [key]: JSON.parse(json) });
    try {
      parseSpec(text, "c");
    } catch (error) {
      assert.ok(error instanceof SpecError, `${error}`);
    }
  }));
});

Deno.test("parseProcess() and parseResources() take parsed JSON and text", () => {
  const process = { user: { uid: 1, gid: 2 }, args: ["id"], cwd: "/" };
  assert.deepEqual(parseProcess(process), process);
  assert.deepEqual(parseProcess(JSON.stringify({ ...process, user: undefined })).user, { uid: 0, gid: 0 });
  assert.throws(() => parseProcess({ args: [], cwd: "/" }, "exec"), {
    message: "exec: args must be a non-empty array of strings: it is []",
  });
  assert.deepEqual(parseResources(`{"memory":{"limit":-1}}`), { memory: { limit: -1 } });
});
