import { run, which } from "./process.ts";

/**
 * Makes a container root file system of the distribution's `busybox-static`: one program under all its names, and the
 * few files that programs expect.
 *
 * @param folder is created
 * @throws {Error} if busybox is not installed, or is not linked statically
 */
export async function makeRootfs(folder: string): Promise<string> {
  const busybox = await which("busybox");
  if (busybox === undefined) throw new Error("busybox is not installed: apt-get install busybox-static");
  for (const name of ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  await Deno.chmod(`${folder}/tmp`, 0o1777);
  await Deno.copyFile(busybox, `${folder}/bin/busybox`);
  await Deno.chmod(`${folder}/bin/busybox`, 0o755);
  for (const name of (await run([busybox, "--list"])).trim().split("\n")) {
    if (name !== "busybox") await Deno.symlink("busybox", `${folder}/bin/${name}`);
  }
  await Deno.writeTextFile(
    `${folder}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
  );
  await Deno.writeTextFile(`${folder}/etc/group`, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
  return folder;
}
