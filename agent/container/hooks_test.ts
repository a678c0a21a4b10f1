import assert from "node:assert/strict";
import type { Hook, Hooks } from "../../oci/spec.ts";
import { Harness, processOf, specOf, until } from "./testing/harness.ts";

const BUSYBOX = "/usr/bin/busybox";

/** A hook of the agent's file system that runs a script. */
function script(text: string, more: Partial<Hook> = {}): Hook {
  return { path: BUSYBOX, args: ["sh", "-c", text], env: ["PATH=/usr/bin:/bin"], ...more };
}

/** A hook of the container's file system. */
function inner(text: string): Hook {
  return { path: "/bin/busybox", args: ["sh", "-c", text] };
}

function specWith(harness: Harness, hooks: Hooks, args = ["true"]) {
  const spec = specOf(harness.rootfs, args);
  spec.hooks = hooks;
  spec.annotations = { "com.example.key": "value" };
  return spec;
}

/** One line per hook: its name, what it was told, and the namespaces it runs in. */
const REPORT = (name: string, log: string) =>
  `echo "${name} $(cat | tr -d '\\n') $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/pid)" >> ${log}`;

Deno.test("hooks run in order, each in its namespaces, with the state on standard input", async () => {
  await using harness = new Harness();
  const log = `${harness.folder}/log`;
  const spec = specWith(harness, {
    prestart: [script(REPORT("prestart", log))],
    createRuntime: [script(REPORT("createRuntime", log)), script(REPORT("second", log))],
    createContainer: [script(REPORT("createContainer", log))],
    startContainer: [inner(`${REPORT("startContainer", "/log")}`)],
    poststart: [script(REPORT("poststart", log))],
    poststop: [script(REPORT("poststop", log))],
  }, ["sh", "-c", "readlink /proc/self/ns/mnt; readlink /proc/self/ns/pid"]);
  const container = await harness.create(spec);
  const pid = container.container.init.pid;
  const before = Deno.readTextFileSync(log).trim().split("\n");
  await container.container.start();
  const { stdout } = await container.outcome();
  await container[Symbol.asyncDispose]();

  const lines = Deno.readTextFileSync(log).trim().split("\n");
  assert.deepEqual(before.map((line) => line.split(" ")[0]), [
    "prestart",
    "createRuntime",
    "second",
    "createContainer",
  ]);
  assert.deepEqual(lines.slice(4).map((line) => line.split(" ")[0]), ["poststart", "poststop"]);
  const all = [...lines, Deno.readTextFileSync(`${harness.rootfs}/log`).trim()].map((line) => {
    const [name, ...rest] = line.split(" ");
    const pidNamespace = rest.pop(), mountNamespace = rest.pop();
    return { name, state: JSON.parse(rest.join(" ")), namespaces: `${mountNamespace} ${pidNamespace}` };
  });
  const ofAgent = `${Deno.readLinkSync("/proc/self/ns/mnt")} ${Deno.readLinkSync("/proc/self/ns/pid")}`;
  const ofContainer = stdout.trim().replace("\n", " ");
  for (const { name = "", state, namespaces } of all) {
    const isInside = ["createContainer", "startContainer"].includes(name);
    assert.equal(namespaces, isInside ? ofContainer : ofAgent, name);
    const status = name === "startContainer"
      ? "created"
      : name === "poststart"
      ? "running"
      : name === "poststop"
      ? "stopped"
      : "creating";
    const { pid: told, ...rest } = state;
    assert.deepEqual(rest, {
      ociVersion: "1.2.0",
      id: "test-1",
      status,
      bundle: harness.folder,
      annotations: { "com.example.key": "value" },
    }, name);
    assert.equal(told, name === "poststop" ? undefined : isInside ? 1 : pid, name);
  }
});

Deno.test("createContainer hooks find the agent's files, and what they mount is the container's", async () => {
  await using harness = new Harness();
  const { rootfs } = harness;
  const hook = script(
    `test -d ${rootfs}/proc/1 && test -c ${rootfs}/dev/null && mkdir -p ${rootfs}/extra && ` +
      `mount -t tmpfs x ${rootfs}/extra && echo hello > ${rootfs}/extra/file`,
  );
  const { status, stdout, stderr } = await harness.run(
    specWith(harness, { createContainer: [hook] }, [
      "sh",
      "-c",
      "cat /extra/file; grep -c /extra /proc/mounts; ls /",
    ]),
  );
  assert.deepEqual([status.code, stderr], [0, ""]);
  assert.match(stdout, /^hello\n1\nbin\n/);
  assert.deepEqual([...Deno.readDirSync(`${rootfs}/extra`)], []);
});

Deno.test("createRuntime hooks reach the container's namespaces by its process id", async () => {
  await using harness = new Harness();
  const hook = script(
    "pid=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); exec nsenter -t $pid -u hostname from-hook",
  );
  const { stdout } = await harness.run(specWith(harness, { createRuntime: [hook] }, ["hostname"]));
  assert.equal(stdout, "from-hook\n");
});

Deno.test("a hook gets its arguments and its environment, exactly", async () => {
  await using harness = new Harness();
  const log = `${harness.folder}/log`;
  const text = `echo "$0 $1 $(tr '\\0' ' ' < /proc/$$/environ)" > ${log}`;
  const hook = { path: BUSYBOX, args: ["sh", "-c", text, "zero", "one"], env: ["A=1", "B=two"] };
  await harness.run(specWith(harness, { createRuntime: [hook] }));
  assert.equal(Deno.readTextFileSync(log), "zero one A=1 B=two \n");
});

Deno.test("startContainer hooks run as the container's user, with no more privileges than it has", async () => {
  await using harness = new Harness();
  Deno.chmodSync(harness.rootfs, 0o777);
  const hook = inner(
    "id -u > /log; grep -E 'Cap(Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/self/status >> /log; echo $WHO >> /log",
  );
  const spec = specWith(harness, { startContainer: [hook] });
  spec.process.user = { uid: 1000, gid: 1000 };
  spec.process.capabilities = { bounding: ["CAP_CHOWN"] };
  spec.process.noNewPrivileges = true;
  spec.linux = {
    ...spec.linux,
    seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }] },
  };
  spec.process.env?.push("WHO=the container's environment");
  await harness.run(spec);
  assert.deepEqual(Deno.readTextFileSync(`${harness.rootfs}/log`).trim().split(/\n/), [
    "1000",
    "CapEff:\t0000000000000000",
    "CapBnd:\t0000000000000001",
    "NoNewPrivs:\t1",
    "Seccomp:\t2",
    "the container's environment",
  ]);
});

for (const kind of ["prestart", "createRuntime", "createContainer"] as const) {
  Deno.test(`a ${kind} hook that fails fails the container, and says why`, async () => {
    await using harness = new Harness();
    const log = `${harness.folder}/log`;
    const hooks = {
      [kind]: [script("true"), script("echo out of luck >&2; exit 3"), script(`echo third >> ${log}`)],
      poststop: [script(`echo stopped >> ${log}`)],
    };
    await assert.rejects(harness.create(specWith(harness, hooks)), {
      name: "HookError",
      message: `hooks.${kind}[1]: "${BUSYBOX}" exited with 3: out of luck`,
    });
    assert.equal(Deno.readTextFileSync(log), "stopped\n");
  });
}

Deno.test("a hook that cannot be run is named", async () => {
  await using harness = new Harness();
  const create = (hooks: Hooks) => harness.create(specWith(harness, hooks));
  await assert.rejects(create({ createRuntime: [{ path: "/no/such" }] }), {
    message: /^hooks\.createRuntime\[0\]: cannot run "\/no\/such": .*ENOENT$/,
  });
  await assert.rejects(create({ createContainer: [{ path: "/no/such" }] }), {
    message: /^hooks\.createContainer\[0\]: cannot run "\/no\/such": .*ENOENT$/,
  });
});

for (const kind of ["createRuntime", "createContainer"] as const) {
  Deno.test(`a ${kind} hook that takes too long is killed with all its processes`, async () => {
    await using harness = new Harness();
    const file = `${harness.folder}/pid`;
    // In the container's pid namespace the numbers are others: the process is found by its argument.
    const mark = `9${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    const hook = script(`sleep ${mark} & echo > ${file}; wait`, { timeout: 1 });
    await assert.rejects(harness.create(specWith(harness, { [kind]: [hook] })), {
      message: `hooks.${kind}[0]: "${BUSYBOX}" did not end within 1 s and was killed`,
    });
    assert.ok(Deno.statSync(file).isFile);
    await until(() => !running(mark));
  });
}

/** Whether any process has this among its arguments. */
function running(mark: string): boolean {
  return [...Deno.readDirSync("/proc")].some(({ name }) => {
    try {
      return /^\d+$/.test(name) && Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(mark);
    } catch {
      return false;
    }
  });
}

Deno.test("a startContainer hook that fails stops the container before its program", async () => {
  await using harness = new Harness();
  const hooks = { startContainer: [inner("echo no >&2; exit 1")] };
  await using container = await harness.create(specWith(harness, hooks, ["touch", "/ran"]));
  await assert.rejects(container.container.start(), {
    message: 'hooks.startContainer[0]: "/bin/busybox" exited with 1: no',
  });
  const { status } = await container.outcome();
  assert.equal(status.signal, 9);
  assert.throws(() => Deno.statSync(`${harness.rootfs}/ran`), Deno.errors.NotFound);
});

Deno.test("a poststart hook that fails stops the container", async () => {
  await using harness = new Harness();
  const log = `${harness.folder}/log`;
  const hooks = {
    poststart: [script("exit 4"), script(`echo started >> ${log}`)],
    poststop: [script(`echo stopped >> ${log}`)],
  };
  await using made = await harness.create(specWith(harness, hooks, ["sleep", "1000"]));
  await assert.rejects(made.container.start(), {
    message: `hooks.poststart[0]: "${BUSYBOX}" exited with 4`,
  });
  assert.equal((await made.outcome()).status.signal, 9);
  await made.container.destroy();
  assert.equal(Deno.readTextFileSync(log), "stopped\n");
});

Deno.test("poststop hooks that fail are logged, and all others run", async () => {
  await using harness = new Harness();
  const log = `${harness.folder}/log`;
  const hooks = { poststop: [script("exit 5"), script(`echo stopped >> ${log}`)] };
  const { status } = await harness.run(specWith(harness, hooks));
  assert.equal(status.code, 0);
  assert.equal(Deno.readTextFileSync(log), "stopped\n");
  assert.match(harness.logged.join("\n"), /hooks\.poststop\[0\]: \\"\/usr\/bin\/busybox\\" exited with 5/);
});

Deno.test("a container with hooks can be executed in, and has the root it would have without", async () => {
  await using harness = new Harness();
  const list = ["sh", "-c", "cat /proc/self/mountinfo | cut -d' ' -f5- ; ls -di / /.."];
  const plain = await harness.run(specOf(harness.rootfs, list));
  const spec = specWith(harness, { createRuntime: [script("true")] }, list);
  const hooked = await harness.run(spec);
  const withoutIds = (text: string) => text.replaceAll(/master:\d+/g, "master");
  assert.equal(withoutIds(hooked.stdout), withoutIds(plain.stdout));
  spec.process = processOf(["sleep", "1000"]);
  await using container = await harness.create(spec);
  await container.container.start();
  assert.equal((await container.exec({ args: ["pwd"] })).stdout, "/\n");
});
