import { CONTAINERD } from "../../agent/container/seccomp/testing/profiles.ts";
import { defaultSpec } from "../../cmd/runtime/run/default_spec.ts";
import { run, which } from "../../tools/process.ts";
import { makeRootfs } from "../../tools/rootfs.ts";

/**
 * A root file system with busybox, crun and its libraries, and two bundles that run `true`: `/bundle`, and
 * `/bundle-filtered`, which has containerd's filter of system calls.
 */
export async function makeCrunRootfs(folder: string): Promise<string> {
  const rootfs = await makeRootfs(folder);
  const crun = await which("crun");
  if (crun === undefined) throw new Error("crun is not installed: apt-get install crun");
  await Deno.copyFile(crun, `${rootfs}/bin/crun`);
  for (const [, path] of (await run(["ldd", crun])).matchAll(/(?:=> |^\s*)(\/\S+)/gm)) {
    if (path === undefined) continue;
    await Deno.mkdir(`${rootfs}${path.replace(/\/[^/]*$/, "")}`, { recursive: true });
    await Deno.copyFile(path, `${rootfs}${path}`);
  }
  const spec = defaultSpec({
    id: "inner",
    rootfs: "rootfs",
    args: ["true"],
    env: [],
    cwd: "/",
    uid: 0,
    gid: 0,
    terminal: false,
    readonlyRoot: false,
    hostname: "inner",
    mounts: [],
  });
  for (const [name, seccomp] of [["bundle", undefined], ["bundle-filtered", CONTAINERD]] as const) {
    await makeRootfs(`${rootfs}/${name}/rootfs`);
    const linux = { ...spec.linux, seccomp };
    // Older runtimes refuse a later version.
    const text = JSON.stringify({ ...spec, linux, ociVersion: "1.0.2" });
    await Deno.writeTextFile(`${rootfs}/${name}/config.json`, text);
  }
  return rootfs;
}
