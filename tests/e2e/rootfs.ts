import { makeRootfs } from "../../tools/rootfs.ts";

/** A container's root for one test file; disposing of it removes it. */
export async function temporaryRootfs(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "kata-rootfs-" });
  const path = await makeRootfs(`${folder}/rootfs`);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}
