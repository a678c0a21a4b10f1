/**
 * Where the cgroups of a sandbox are on the host.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";

/** Folder of cgroups whose path is relative, or that nobody has named. */
const RELATIVE_FOLDER = "vc";

/** Folder of cgroups for what a sandbox needs besides its virtual CPUs. */
const OVERHEAD_FOLDER = "kata_overhead";

/** The place of what a sandbox needs besides its virtual CPUs, below the root. */
export function overheadPath(sandboxId: string): string {
  return `${OVERHEAD_FOLDER}/${sandboxId}`;
}

/**
 * The place of a sandbox's cgroup below the root: the last part of a path gets a prefix, by which it is not the one
 * that the pod's containers would have on the host; `slice:prefix:name` is a scope in its slice.
 *
 * @param cgroupsPath `linux.cgroupsPath` of the container that the sandbox is made for
 * @throws {RpcError} `INVALID_ARGUMENT`
 */
export function sandboxCgroupPath(cgroupsPath: string | undefined, sandboxId: string): string {
  if (cgroupsPath === undefined || cgroupsPath === "") return `${RELATIVE_FOLDER}/kata_${sandboxId}`;
  const [slice = "", prefix = "", name = "", ...more] = cgroupsPath.split(":");
  const isSystemd = name !== "" && more.length === 0 && !cgroupsPath.includes("/");
  if (isSystemd && !/^(|.+\.slice)$/.test(slice)) {
    throw invalid(
      `linux.cgroupsPath "${cgroupsPath}" names "${slice}", which is not a slice: it must end with .slice`,
    );
  }
  if (isSystemd) {
    return [...sliceFolders(slice), `${prefix === "" ? "" : `${prefix}-`}${name}.scope`].join("/");
  }
  const parts = cgroupsPath.split("/").filter((part) => part !== "" && part !== ".");
  const last = parts.pop();
  if (last === undefined || last === ".." || parts.includes("..")) {
    throw invalid(`linux.cgroupsPath must name a place below the root: it is "${cgroupsPath}"`);
  }
  return [...cgroupsPath.startsWith("/") ? [] : [RELATIVE_FOLDER], ...parts, `kata_${last}`].join("/");
}

/** `a-b.slice` is in `a.slice`. */
function sliceFolders(slice: string): string[] {
  if (slice === "-.slice") return [];
  const words = (slice || "system.slice").slice(0, -".slice".length).split("-");
  return words.map((_, index) => `${words.slice(0, index + 1).join("-")}.slice`);
}

function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}
