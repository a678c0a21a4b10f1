/** `install`, what works then without a further step, and `uninstall`. */

import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { DIST } from "../../tools/paths.ts";
import { makeRootfs } from "../../tools/rootfs.ts";
import { until } from "./containerd.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { type OwnFiles, ownFiles } from "./own_files.ts";

const NOBODY = 65534;
const KATA_RUNTIME = "/usr/local/bin/kata-runtime";
const RUNTIME = "io.containerd.kata.v2";

Deno.test("install, then ctr run without any further step, then uninstall leaves every file as it was", async () => {
  const before = await traces();
  {
    await using host = await ownFiles();
    const files = await host.listing();
    await installed(host);
    await usable(host);
    const containerd = host.start(["containerd"]);
    await until("containerd answers", async () => (await host.run(["ctr", "version"])).code === 0);
    await runsContainers(host);
    containerd.kill("SIGTERM");
    await containerd.status;
    const undone = await host.must([KATA_RUNTIME, "uninstall"]);
    assert.match(
      undone,
      /^restore +\/etc\/containerd\/config\.toml$|^remove +\/etc\/containerd\/config\.toml$/m,
    );
    assert.deepEqual(await host.listing(), files);
    assert.equal(await host.must([`${DIST}/kata`, "uninstall"]), "nothing is installed\n");
  }
  assert.deepEqual(await leaksSince(before), []);
});

/** Installs twice: the second time there is nothing to do. */
async function installed(host: OwnFiles): Promise<void> {
  const planned = await host.must([`${DIST}/kata`, "install", "--dry-run"]);
  const untouched = await host.run(["test", "-e", KATA_RUNTIME]);
  assert.equal(untouched.code, 1, "a dry run does nothing");
  const done = await host.must([`${DIST}/kata`, "install"]);
  const steps = (text: string) => text.match(/^(make|write|link|change) +\S+/gm) ?? [];
  assert.deepEqual(steps(planned), steps(done), "a dry run tells what is done");
  assert.ok(steps(done).length >= 8, done);
  const again = await host.must([KATA_RUNTIME, "install", "--prefix", "/usr/local"]);
  assert.deepEqual(steps(again), [], again);
  const elsewhere = await host.run([KATA_RUNTIME, "install", "--prefix", "/opt/kata"]);
  assert.deepEqual(
    [elsewhere.code, elsewhere.stderr],
    [1, 'it is installed below "/usr/local": uninstall that first, or give --prefix /usr/local\n'],
  );
  await registered(host, done);
}

/** What is looked at in containerd's configuration. */
type Plugins = Record<
  string,
  { containerd: { runtimes: Record<string, { runtime_type?: string }> } } | undefined
>;

/** The engines of the distribution know the runtime, where they can start it. */
async function registered(host: OwnFiles, said: string): Promise<void> {
  const { plugins } = parse(await host.must(["containerd", "config", "dump"])) as { plugins: Plugins };
  const cri = plugins["io.containerd.cri.v1.runtime"] ?? plugins["io.containerd.grpc.v1.cri"];
  assert.equal(cri?.containerd.runtimes.kata?.runtime_type, RUNTIME);
  const version = Number(/version (\d+)/.exec(await host.must(["dockerd", "--version"]))?.[1]);
  const daemon = await host.run(["cat", "/etc/docker/daemon.json"]);
  if (version < 23) {
    assert.equal(daemon.code, 1, "an old daemon would start containers without a machine");
    assert.match(said, /^Docker: not registered: Docker \S+ cannot start containerd shims/m);
  } else {
    assert.equal(JSON.parse(daemon.stdout).runtimes.kata.runtimeType, RUNTIME);
    await host.must(["dockerd", "--validate", "--config-file", "/etc/docker/daemon.json"]);
  }
}

/** What a user can do now, and what only root can. */
async function usable(host: OwnFiles): Promise<void> {
  const check = await host.run([KATA_RUNTIME, "check", "--no-network-checks"], { user: NOBODY });
  assert.deepEqual(
    [check.code, check.stdout],
    [0, "System is capable of running Kata Containers\n"],
    check.stderr,
  );
  const root = await host.run([KATA_RUNTIME, "check", "--verbose"]);
  assert.match(root.stdout, /^System is capable of .*\nSystem can currently create Kata Containers\n$/);
  assert.match(root.stderr, /level=(info|warning) msg="virtual machines run (on KVM|in software)/);
  await looksForReleases(host);
  const env = JSON.parse(await host.must([KATA_RUNTIME, "env", "--json"], { user: NOBODY }));
  assert.equal(env.Runtime.Config.Path, "/etc/kata-containers/configuration.toml");
  assert.equal(env.Runtime.Path, "/usr/local/bin/kata");
  assert.match(env.Hypervisor.Version, /^QEMU emulator version/);
  const run = await host.run([KATA_RUNTIME, "run", "--rootfs", "/", "--", "true"], { user: NOBODY });
  assert.deepEqual(
    [run.code, run.stderr],
    [125, "kata-runtime: only root can run containers: sudo kata-runtime run …\n"],
  );
  for (const command of ["install", "uninstall"]) {
    const refused = await host.run([KATA_RUNTIME, command], { user: NOBODY });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(`^only root can ${command}: sudo kata-runtime ${command}; `));
  }
}

/** A list of releases is read, and one that is out of reach is no failure of the machine. */
async function looksForReleases(host: OwnFiles): Promise<void> {
  const url = "https://github.com/kata-containers/kata-containers/releases/download/99.0.0/a.tar";
  const release = {
    tag_name: "99.0.0",
    assets: [{ name: "a", created_at: "2026-01-01", browser_download_url: url }],
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json([release]),
  );
  const check = (...flags: string[]) => {
    const list = `KATA_RELEASE_URL=http://127.0.0.1:${server.addr.port}/`;
    return host.run(["env", list, KATA_RUNTIME, "check", ...flags], { user: NOBODY });
  };
  const listed = await check("--only-list-releases");
  assert.deepEqual([listed.code, listed.stdout], [0, `99.0.0;2026-01-01;${url}\n`], listed.stderr);
  await server.shutdown();
  const alone = await check("--check-version-only");
  assert.equal(alone.code, 1);
  assert.match(alone.stderr, /^Get "http:\/\/127\.0\.0\.1:\d+\/": .*refused/);
  const whole = await check();
  assert.deepEqual([whole.code, whole.stdout], [0, "System is capable of running Kata Containers\n"]);
  assert.match(whole.stderr, /level=warning msg="cannot look for releases: Get /);
}

/** A container in a machine of its own; as long as it runs, the program under it stays. */
async function runsContainers(host: OwnFiles): Promise<void> {
  const id = ownId("installed");
  const rootfs = await makeRootfs(`${host.folder}/rootfs`);
  await host.must(["ctr", "run", "-d", "--runtime", RUNTIME, "--rootfs", rootfs, id, "sleep", "1000"]);
  const kernel = await host.must(["ctr", "task", "exec", "--exec-id", "x", id, "uname", "-r"]);
  const own = await host.must(["uname", "-r"]);
  assert.notEqual(kernel.trim(), own.trim());
  assert.match(kernel, /^\d+\.\d+\S*\n$/);
  await updatedBelow(host, id);
  const refused = await host.run([KATA_RUNTIME, "uninstall"]);
  assert.deepEqual(
    [refused.code, refused.stderr],
    [1, `sandboxes are still running from it and could not be stopped afterwards: stop ${id} first\n`],
  );
  const dry = await host.must([KATA_RUNTIME, "uninstall", "--dry-run"]);
  assert.ok(dry.startsWith(`not before these sandboxes have ended: ${id}\n`), dry);
  await host.must(["ctr", "task", "rm", "--force", id]);
  await host.must(["ctr", "container", "rm", id]);
}

/** Another version is installed while a container runs: the one that runs is the older still, and answers. */
async function updatedBelow(host: OwnFiles, id: string): Promise<void> {
  const newer = `${host.folder}/newer`;
  await Deno.mkdir(newer);
  for (const name of ["kata", "vmlinux", "kata-initrd.img"]) {
    await Deno.copyFile(`${DIST}/${name}`, `${newer}/${name}`);
  }
  await Deno.writeTextFile(`${newer}/kata`, "another version", { append: true });
  const before = await host.must(["sha256sum", "/usr/local/bin/kata"]);
  assert.match(await host.must([`${newer}/kata`, "install"]), /^write +\/usr\/local\/bin\/kata$/m);
  assert.notEqual(await host.must(["sha256sum", "/usr/local/bin/kata"]), before);
  assert.match(await host.must([KATA_RUNTIME, "list", "--quiet"]), new RegExp(`^${id}$`, "m"));
  assert.match(await host.must([KATA_RUNTIME, "metrics", id]), /^kata_shim_/m);
  assert.match(await host.must([KATA_RUNTIME, "logs", "--tail", "1", id]), /^time=/);
  const said = await host.must(["ctr", "task", "exec", "--exec-id", "updated", id, "echo", "still here"]);
  assert.equal(said, "still here\n");
}
