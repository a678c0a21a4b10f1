import { makeRootfs } from "../../tools/rootfs.ts";
import { markedPrefix } from "./leaks.ts";

/** A container's root, in a folder for more files of a test; disposing of it removes both. */
export async function temporaryRootfs(): Promise<{ path: string; folder: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: markedPrefix("rootfs") });
  const path = await makeRootfs(`${folder}/rootfs`);
  return { path, folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}
