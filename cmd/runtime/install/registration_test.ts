import assert from "node:assert/strict";
import * as toml from "smol-toml";
import { addBlock, takeBlock } from "./blocks.ts";
import { registerContainerd } from "./containerd.ts";
import { registerCrio } from "./crio.ts";
import { registerDocker, withoutDockerRuntime } from "./docker.ts";
import { registerPodman } from "./podman.ts";
import type { Machine, Registration } from "./registration.ts";

/** A machine with files, and programs by name with what they say of their version. */
function machine(files: Record<string, string>, programs: Record<string, string> = {}): Machine {
  return {
    read: (path) => files[path],
    exists: (path) => path in files,
    program: (name) => name in programs ? `/usr/bin/${name}` : undefined,
    version: (path) => Promise.resolve(programs[path.slice("/usr/bin/".length)]),
  };
}

const MAIN = "/etc/containerd/config.toml";
const CONTAINERD_1 = { containerd: "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1" };
const CONTAINERD_2 = { containerd: "containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b71" };

function textOf(registration: Registration | undefined): string {
  return registration?.change?.text ?? assert.fail(`nothing is done: ${registration?.notes}`);
}

/** Its tables as plain objects. */
const parse = (text: string): Record<string, unknown> => JSON.parse(JSON.stringify(toml.parse(text)));

/** The table of the runtime in a configuration. */
function runtimeIn(text: string, plugin: string): unknown {
  let at: unknown = parse(text);
  for (const name of ["plugins", plugin, "containerd", "runtimes", "kata"]) {
    at = (at as Record<string, unknown>)?.[name];
  }
  return at;
}

const RUNTIME = {
  runtime_type: "io.containerd.kata.v2",
  privileged_without_host_devices: true,
  pod_annotations: ["io.katacontainers.*"],
  container_annotations: ["io.katacontainers.*"],
};

Deno.test("containerd: the runtime is added to configurations of all versions, and every byte of them stays", async () => {
  const table: [string, string][] = [
    ["# mine\n[plugins.cri.containerd]\n  snapshotter = 'x' # why\n", "cri"],
    [
      'version = 2 # two\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri"]\n    [plugins."io.containerd.grpc.v1.cri".cni]\n      bin_dir = "/b"',
      "io.containerd.grpc.v1.cri",
    ],
    [
      'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]\n  runtime_type = "r"\n',
      "io.containerd.cri.v1.runtime",
    ],
  ];
  for (const [text, plugin] of table) {
    const changed = textOf(await registerContainerd(machine({ [MAIN]: text }, CONTAINERD_1)));
    assert.ok(changed.startsWith(text), plugin);
    assert.deepEqual(runtimeIn(changed, plugin), RUNTIME, plugin);
    const again = await registerContainerd(machine({ [MAIN]: changed }, CONTAINERD_1));
    assert.equal(textOf(again), changed, "a second time nothing changes");
    assert.equal(takeBlock(changed)?.rest.trimEnd(), text.trimEnd());
  }
});

Deno.test("containerd: without a configuration one is made in the version that the daemon has", async () => {
  const one = textOf(await registerContainerd(machine({}, CONTAINERD_1)));
  assert.deepEqual([parse(one).version, runtimeIn(one, "io.containerd.grpc.v1.cri")], [2, RUNTIME]);
  const two = textOf(await registerContainerd(machine({}, CONTAINERD_2)));
  assert.deepEqual([parse(two).version, runtimeIn(two, "io.containerd.cri.v1.runtime")], [3, RUNTIME]);
  assert.equal(textOf(await registerContainerd(machine({ [MAIN]: two }, CONTAINERD_2))), two);
  assert.equal(await registerContainerd(machine({})), undefined, "no containerd, no change");
});

Deno.test("containerd: a drop-in where one is imported without replacing what is set", async () => {
  const imports = 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n';
  const registration = await registerContainerd(machine({ [MAIN]: imports }, CONTAINERD_2));
  assert.deepEqual(
    [registration?.change?.kind, registration?.change?.path],
    ["file", "/etc/containerd/conf.d/50-kata.toml"],
  );
  assert.deepEqual(runtimeIn(textOf(registration), "io.containerd.cri.v1.runtime"), RUNTIME);
  const old = await registerContainerd(machine({ [MAIN]: imports.replace("3", "2") }, CONTAINERD_1));
  assert.equal(old?.change?.path, MAIN);
});

Deno.test("containerd: a file that cannot be extended is left alone and reported", async () => {
  const table: [string, RegExp][] = [
    ["version = = 2", /no valid TOML/],
    ["version = 9", /version 9, newer than 3/],
    [
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]\n',
      /has a runtime "kata" already/,
    ],
    [
      'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\ncontainerd = { runtimes = {} }\n',
      /in a way that no table can be added to/,
    ],
  ];
  for (const [text, note] of table) {
    const registration = await registerContainerd(machine({ [MAIN]: text }, CONTAINERD_1));
    assert.equal(registration?.change, undefined, text);
    assert.match(registration?.notes.join() ?? "", note);
  }
});

Deno.test("CRI-O: a drop-in names the shim and the configuration", () => {
  const places = {
    shim: "/usr/local/bin/containerd-shim-kata-v2",
    configuration: "/etc/kata-containers/configuration.toml",
  };
  const registration = registerCrio(machine({}, { crio: "" }), places);
  const { crio } = parse(textOf(registration)) as {
    crio: { runtime: { runtimes: { kata: unknown } } };
  };
  assert.deepEqual(crio.runtime.runtimes.kata, {
    runtime_path: places.shim,
    runtime_type: "vm",
    runtime_root: "/run/vc",
    runtime_config_path: places.configuration,
    privileged_without_host_devices: true,
  });
  assert.equal(registerCrio(machine({}), places), undefined);
});

const DOCKER = { dockerd: "Docker version 26.1.5+dfsg1, build a72d7cd" };
const DAEMON = "/etc/docker/daemon.json";

Deno.test("Docker: the runtime joins what daemon.json has, in its indentation, and leaves again", async () => {
  const table: [string | undefined, unknown][] = [
    [undefined, { runtimes: { kata: { runtimeType: "io.containerd.kata.v2" } } }],
    ["", { runtimes: { kata: { runtimeType: "io.containerd.kata.v2" } } }],
    [
      '{\n    "debug": true,\n    "runtimes": {\n        "x": {\n            "path": "/x"\n        }\n    }\n}\n',
      {
        debug: true,
        runtimes: { x: { path: "/x" }, kata: { runtimeType: "io.containerd.kata.v2" } },
      },
    ],
  ];
  for (const [text, expected] of table) {
    const files: Record<string, string> = text === undefined ? {} : { [DAEMON]: text };
    const changed = textOf(await registerDocker(machine(files, DOCKER)));
    assert.deepEqual(JSON.parse(changed), expected);
    assert.equal(textOf(await registerDocker(machine({ [DAEMON]: changed }, DOCKER))), changed);
    assert.equal(withoutDockerRuntime(changed), text || "{}\n");
  }
});

Deno.test("Docker: old daemons, which would silently run containers without a VM, and unreadable files are left alone", async () => {
  const table: [string, string | undefined, RegExp][] = [
    [
      "Docker version 20.10.24+dfsg1, build 297e128",
      undefined,
      /Docker 20\.10\.24 cannot start containerd shims, which needs 23\.0/,
    ],
    ["", undefined, /does not report its version/],
    ["Docker version 27.0.1", "[]", /no JSON object/],
    ["Docker version 27.0.1", '{"runtimes": []}', /"runtimes" .* is no object/],
    ["Docker version 27.0.1", '{"runtimes": {"kata": {"path": "/x"}}}', /has a runtime "kata" already/],
  ];
  for (const [dockerd, text, note] of table) {
    const registration = await registerDocker(
      machine(text === undefined ? {} : { [DAEMON]: text }, { dockerd }),
    );
    assert.equal(registration?.change, undefined);
    assert.match(registration?.notes.join() ?? "", note);
  }
  assert.equal(withoutDockerRuntime('{"runtimes": {"kata": {"path": "/x"}}}'), undefined);
});

Deno.test("Podman is reported, and not registered with", () => {
  assert.match(
    registerPodman(machine({}, { podman: "" }))?.notes.join() ?? "",
    /^not registered: Podman needs/,
  );
  assert.equal(registerPodman(machine({})), undefined);
});

Deno.test("a block is found again between what others have added", () => {
  const text = addBlock("a = 1", "b = 2") + "c = 3\n";
  assert.deepEqual(takeBlock(text), { rest: "a = 1\nc = 3\n", lines: "b = 2\n" });
  assert.equal(takeBlock("a = 1\n"), undefined);
});
