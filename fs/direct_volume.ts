/**
 * Volumes that a storage driver hands to the virtual machine itself: what is to be mounted, in folders that are named
 * after the volumes' paths, as tools of Kata Containers know them.
 *
 * @module
 */

import { removeTree } from "./remove_tree.ts";

/** Where the folders are. */
const DIRECT_VOLUMES = "/run/kata-containers/shared/direct-volumes";

const MOUNT_INFO = "mountInfo.json";
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Longest name of a file in Linux, in bytes. */
const MAX_NAME_BYTES = 255;

/** What is to be mounted in place of a volume's path. */
export interface DirectVolume {
  /** "block", as a rule */
  readonly volumeType: string;
  /** path of the device on the host */
  readonly device: string;
  readonly fstype: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly options: readonly string[];
}

/** What is known of a volume is missing or makes no sense; the message says what. */
export class DirectVolumeError extends Error {
  override readonly name = "DirectVolumeError";
}

/** The folder of a volume. @throws {DirectVolumeError} its path is empty or too long for a name */
export function volumeFolder(volumePath: string, root: string = DIRECT_VOLUMES): string {
  if (volumePath === "") throw new DirectVolumeError("the path of a volume must not be empty");
  const name = nameOf(volumePath);
  if (name === undefined) {
    const { length } = new TextEncoder().encode(volumePath);
    throw new DirectVolumeError(`the path of a volume is too long, it has ${length} bytes: "${volumePath}"`);
  }
  return `${root}/${name}`;
}

/** Undefined for a path that is too long for one. */
function nameOf(volumePath: string): string | undefined {
  const name = new TextEncoder().encode(volumePath).toBase64({ alphabet: "base64url" });
  return name.length > MAX_NAME_BYTES ? undefined : name;
}

/**
 * Makes a volume known.
 *
 * @param mountInfo JSON; kept byte for byte
 * @throws {DirectVolumeError}
 */
export async function addVolume(
  volumePath: string,
  mountInfo: string,
  root: string = DIRECT_VOLUMES,
): Promise<void> {
  const folder = volumeFolder(volumePath, root);
  parseMountInfo(mountInfo, "the mount information");
  try {
    await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory)) {
      throw error;
    }
    throw new DirectVolumeError(`${folder} should be a directory`, { cause: error });
  }
  await Deno.writeTextFile(`${folder}/${MOUNT_INFO}`, mountInfo, { mode: FILE_MODE });
}

/** Forgets a volume; one that is not known is no error. */
export function removeVolume(volumePath: string, root: string = DIRECT_VOLUMES): void {
  removeTree(volumeFolder(volumePath, root));
}

/** What is to be mounted in place of a path; undefined: it is no such volume. @throws {DirectVolumeError} */
export function findVolume(volumePath: string, root: string = DIRECT_VOLUMES): DirectVolume | undefined {
  // what cannot be added is not there, and any mount of a container may have such a source
  if (nameOf(volumePath) === undefined) return undefined;
  const folder = volumeFolder(volumePath, root);
  let text: string;
  try {
    text = Deno.readTextFileSync(`${folder}/${MOUNT_INFO}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
  return parseMountInfo(text, `"${folder}/${MOUNT_INFO}"`);
}

/**
 * Notes that a sandbox uses a volume, so that it can be asked about it.
 *
 * @throws {DirectVolumeError} another one uses it already
 */
export async function claimVolume(
  volumePath: string,
  sandboxId: string,
  root: string = DIRECT_VOLUMES,
): Promise<void> {
  const folder = volumeFolder(volumePath, root);
  const owner = ownerOf(folder);
  if (owner !== undefined && owner !== sandboxId) {
    throw new DirectVolumeError(`volume "${volumePath}" is used by sandbox "${owner}" already`);
  }
  await Deno.writeFile(`${folder}/${sandboxId}`, new Uint8Array(), { mode: FILE_MODE });
}

/** The sandbox does not use the volume any more; safe to call again. */
export async function releaseVolume(
  volumePath: string,
  sandboxId: string,
  root: string = DIRECT_VOLUMES,
): Promise<void> {
  await Deno.remove(`${volumeFolder(volumePath, root)}/${sandboxId}`).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** The sandbox that uses a volume. @throws {DirectVolumeError} none does, or the volume is not known */
export function sandboxOfVolume(volumePath: string, root: string = DIRECT_VOLUMES): string {
  const folder = volumeFolder(volumePath, root);
  let owner: string | undefined;
  try {
    owner = ownerOf(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new DirectVolumeError(`open ${folder}: no such file or directory`, { cause: error });
  }
  if (owner === undefined) throw new DirectVolumeError(`no sandbox found for ${volumePath}`);
  return owner;
}

function ownerOf(folder: string): string | undefined {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort().find((name) => name !== MOUNT_INFO);
}

/** @param where what the text belongs to, for the message */
function parseMountInfo(text: string, where: string): DirectVolume {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DirectVolumeError(`${where} is not JSON: ${why}`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DirectVolumeError(`${where} must be a JSON object: it is ${text.slice(0, 100)}`);
  }
  const fields = value as Record<string, unknown>;
  return {
    volumeType: word(fields, "volume-type", where),
    device: word(fields, "device", where),
    fstype: word(fields, "fstype", where),
    metadata: words(fields, "metadata", where),
    options: list(fields, "options", where),
  };
}

function word(fields: Readonly<Record<string, unknown>>, key: string, where: string): string {
  const value = fields[key] ?? "";
  if (typeof value === "string") return value;
  throw wrong(where, key, "a string", value);
}

function words(
  fields: Readonly<Record<string, unknown>>,
  key: string,
  where: string,
): Record<string, string> {
  const value = fields[key] ?? {};
  const isMap = typeof value === "object" && !Array.isArray(value);
  if (isMap && Object.values(value).every((item) => typeof item === "string")) {
    return value as Record<string, string>;
  }
  throw wrong(where, key, "an object with strings", value);
}

function list(fields: Readonly<Record<string, unknown>>, key: string, where: string): string[] {
  const value = fields[key] ?? [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw wrong(where, key, "a list of strings", value);
}

function wrong(where: string, key: string, what: string, value: unknown): DirectVolumeError {
  return new DirectVolumeError(`${where}: "${key}" must be ${what}: it is ${JSON.stringify(value)}`);
}
