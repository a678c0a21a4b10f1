import type { Spec } from "../../../oci/spec.ts";
import { parseSpec } from "../../../oci/validate.ts";
import { why } from "../failure.ts";
import type { RunFlags } from "./command.ts";
import { defaultSpec } from "./default_spec.ts";
import { resolveUser } from "./flags.ts";

/** A container to run: its specification, and the folder that relative paths in it start from. */
export interface RunBundle {
  readonly folder: string;
  readonly spec: Spec;
}

/**
 * A bundle made of flags alone.
 *
 * @throws {Error} no command; a rootfs that is not a folder; a user that it does not know
 */
export async function bundleFromFlags(
  id: string,
  folder: string,
  flags: RunFlags,
  args: readonly string[],
): Promise<RunBundle> {
  if (args.length === 0) throw new Error("the command is missing: give it after --, as in -- uname -r");
  const rootfs = await existingFolder("rootfs", folder);
  const { uid, gid } = resolveUser(flags.user ?? "0", rootfs);
  const spec = defaultSpec({
    id,
    rootfs,
    args,
    uid,
    gid,
    env: flags.env ?? [],
    cwd: absolute(flags.cwd ?? "/"),
    terminal: flags.tty,
    readonlyRoot: flags.readOnly,
    hostname: flags.hostname ?? id,
    ...(flags.netNs !== undefined && { netns: fromHere(flags.netNs) }),
    mounts: flags.mount ?? [],
    cpuLimit: flags.cpus === undefined || Number.isInteger(flags.cpus) ? undefined : flags.cpus,
  });
  return { folder: rootfs, spec };
}

/**
 * A bundle on disk, with what flags change about its process.
 *
 * @throws {Error} no such folder; a `config.json` that cannot be read or used
 */
export async function bundleFromDisk(
  path: string,
  flags: RunFlags,
  args: readonly string[],
): Promise<RunBundle> {
  const folder = await existingFolder("bundle", path);
  const file = `${folder}/config.json`;
  const spec = parseSpec(await readText(file), file);
  const process = spec.process;
  if (process === undefined) throw new Error(`${file}: process is missing: it says what to run`);
  return {
    folder,
    spec: {
      ...spec,
      hostname: flags.hostname ?? spec.hostname,
      linux: flags.netNs === undefined ? spec.linux : inNamespace(spec, fromHere(flags.netNs)),
      root: { ...spec.root, readonly: flags.readOnly || spec.root.readonly },
      mounts: [...(spec.mounts ?? []), ...(flags.mount ?? [])],
      process: {
        ...process,
        args: args.length > 0 ? [...args] : process.args,
        env: [...(process.env ?? []), ...(flags.env ?? [])],
        cwd: flags.cwd === undefined ? process.cwd : absolute(flags.cwd),
        terminal: flags.tty || process.terminal,
        user: flags.user === undefined
          ? process.user
          : { ...process.user, ...resolveUser(flags.user, rootOf(folder, spec)) },
      },
    },
  };
}

function rootOf(folder: string, spec: Spec): string {
  return spec.root.path.startsWith("/") ? spec.root.path : `${folder}/${spec.root.path}`;
}

/** Links are not resolved: those of /proc lead to no path. */
function fromHere(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function inNamespace({ linux }: Spec, path: string): Spec["linux"] {
  const others = linux?.namespaces?.filter(({ type }) => type !== "network") ?? [];
  return { ...linux, namespaces: [...others, { type: "network", path }] };
}

function absolute(cwd: string): string {
  if (!cwd.startsWith("/")) throw new Error(`cwd must be an absolute path in the container: it is "${cwd}"`);
  return cwd;
}

async function readText(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    throw new Error(`cannot read "${file}": ${why(error)}`, { cause: error });
  }
}

async function existingFolder(what: string, path: string): Promise<string> {
  const info = await Deno.stat(path).catch(() => undefined);
  if (info === undefined) throw new Error(`${what} "${path}" does not exist`);
  if (!info.isDirectory) throw new Error(`${what} "${path}" is not a folder`);
  return await Deno.realPath(path);
}
