/**
 * A container image of a root file system, as an archive that containerd imports.
 *
 * @module
 */

import { run } from "../../tools/process.ts";

/** Name of the image. */
export const IMAGE = "localhost/kata-test:latest";

/** What an image says besides its files. */
export interface ImageConfig {
  readonly name?: string;
  readonly command?: readonly string[];
}

/** Packs a folder as an image of one layer. @returns the archive's path */
export async function makeImage(rootfs: string, folder: string, config: ImageConfig = {}): Promise<string> {
  const { name = IMAGE, command = ["sh"] } = config;
  const layout = await Deno.makeTempDir({ dir: folder, prefix: "image-" });
  await Deno.mkdir(`${layout}/blobs/sha256`, { recursive: true });
  await run(["tar", "--create", "--file", `${layout}.layer`, "--directory", rootfs, "."]);
  const layer = await addBlob(layout, await Deno.readFile(`${layout}.layer`));
  const architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  const settings = await addJson(layout, {
    architecture,
    os: "linux",
    config: { Env: ["PATH=/bin"], Cmd: command, WorkingDir: "/tmp" },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = await addJson(layout, {
    schemaVersion: 2,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...settings },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer }],
  });
  const index = {
    schemaVersion: 2,
    manifests: [{
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      ...manifest,
      platform: { architecture, os: "linux" },
      annotations: { "io.containerd.image.name": name },
    }],
  };
  await Deno.writeTextFile(`${layout}/index.json`, JSON.stringify(index));
  await Deno.writeTextFile(`${layout}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  await run(["tar", "--create", "--file", `${layout}.tar`, "--directory", layout, "."]);
  return `${layout}.tar`;
}

async function addJson(layout: string, value: unknown): Promise<{ digest: string; size: number }> {
  return await addBlob(layout, new TextEncoder().encode(JSON.stringify(value)));
}

async function addBlob(
  layout: string,
  data: Uint8Array<ArrayBuffer>,
): Promise<{ digest: string; size: number }> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  await Deno.writeFile(`${layout}/blobs/sha256/${hex}`, data);
  return { digest: `sha256:${hex}`, size: data.length };
}
