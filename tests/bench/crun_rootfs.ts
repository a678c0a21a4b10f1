import { defaultSpec } from "../../cmd/runtime/run/default_spec.ts";
import { run, which } from "../../tools/process.ts";
import { makeRootfs } from "../../tools/rootfs.ts";

/** A root file system with busybox, crun and its libraries, and `/bundle`, a bundle that runs `true`. */
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
  await makeRootfs(`${rootfs}/bundle/rootfs`);
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
  await Deno.writeTextFile(`${rootfs}/bundle/config.json`, JSON.stringify({ ...spec, ociVersion: "1.0.2" }));
  return rootfs;
}
