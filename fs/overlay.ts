/** Overlay options that do not fit: images with many layers. Pure functions. */

/** What mount(2) takes as data, less the NUL: a page, of the smallest size there is. */
export const MAX_DATA_BYTES = 4095;

const LOWER = "lowerdir=";

/** Whether the options of a file system fit into one mount(2). */
export function fits(data: readonly string[]): boolean {
  return new TextEncoder().encode(data.join(",")).length <= MAX_DATA_BYTES;
}

/** The deepest folder that holds all lower layers; undefined if they have none in common but "/". */
export function commonFolder(data: readonly string[]): string | undefined {
  const layers = lowerLayers(data);
  const [first] = layers;
  if (first === undefined || layers.some((layer) => layer.includes("\\"))) return undefined;
  const parts = first.split("/").slice(0, -1);
  while (parts.length > 1) {
    const folder = parts.join("/");
    if (layers.every((layer) => layer.startsWith(`${folder}/`))) return folder;
    parts.pop();
  }
  return undefined;
}

/** The same options with the lower layers' common folder called by another, shorter name. */
export function renameFolder(data: readonly string[], folder: string, name: string): string[] {
  const layers = lowerLayers(data).map((layer) => name + layer.slice(folder.length));
  return data.map((option) => option.startsWith(LOWER) ? LOWER + layers.join(":") : option);
}

function lowerLayers(data: readonly string[]): string[] {
  return data.find((option) => option.startsWith(LOWER))?.slice(LOWER.length).split(":") ?? [];
}
