import type { Mount } from "../../../oci/spec.ts";
import { readInRootfs } from "./rootfs_file.ts";

const MIB = 1024 * 1024;
const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  K: 1024,
  KB: 1024,
  KIB: 1024,
  M: MIB,
  MB: MIB,
  MIB: MIB,
  G: 1024 * MIB,
  GB: 1024 * MIB,
  GIB: 1024 * MIB,
};

/** Smallest memory a guest boots with, in MiB (as Kata's `default_memory`). */
const MIN_MEMORY_MIB = 256;

/** `512M`, `2G`, `1073741824` → MiB, rounded up. */
export function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match ? UNITS[(match[2] ?? "").toUpperCase()] : undefined;
  if (match === null || unit === undefined) {
    throw new Error(`memory must be a size such as 512M or 2G: it is "${text}"`);
  }
  const mib = Math.ceil((Number(match[1]) * unit) / MIB);
  if (mib < MIN_MEMORY_MIB) throw new Error(`memory must be at least ${MIN_MEMORY_MIB}M: it is "${text}"`);
  return mib;
}

/** A positive number of CPUs; fractions are allowed. */
export function parseCpus(text: string): number {
  const cpus = Number(text);
  if (text.trim() === "" || !Number.isFinite(cpus) || cpus <= 0) {
    throw new Error(`cpus must be a positive number such as 1 or 0.5: it is "${text}"`);
  }
  const host = navigator.hardwareConcurrency;
  if (cpus > host) throw new Error(`cpus must be at most the ${host} of this host: it is "${text}"`);
  return cpus;
}

/** `NAME=VALUE`, or `NAME` for the caller's own value. */
export function parseEnv(text: string): string {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  if (name === "" || text.includes("\0")) throw new Error(`env must be NAME=VALUE or NAME: it is "${text}"`);
  if (at >= 0) return text;
  return `${name}=${Deno.env.get(name) ?? ""}`;
}

/** Ids follow containerd's rule: groups of letters and digits joined by single `.`, `_` or `-`, at most 76. */
export function parseName(text: string): string {
  if (!/^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(text) || text.length < 2 || text.length > 76) {
    throw new Error(
      `name must be 2 to 76 letters and digits, joined by single ".", "_" or "-": it is "${text}"`,
    );
  }
  return text;
}

const MOUNT_KEYS: Readonly<Record<string, "type" | "source" | "destination" | "options" | "readonly">> = {
  type: "type",
  src: "source",
  source: "source",
  dst: "destination",
  destination: "destination",
  target: "destination",
  options: "options",
  ro: "readonly",
  readonly: "readonly",
};

/** `type=bind,src=/a,dst=/b,options=rbind:ro`, the form of `ctr run --mount`; `ro` alone is also taken. */
export function parseMount(text: string): Mount {
  const found: Record<string, string> = {};
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    const key = MOUNT_KEYS[at < 0 ? part : part.slice(0, at)];
    if (key === undefined) {
      throw new Error(`mount has "${part}" where one of type, src, dst, options or ro must be: "${text}"`);
    }
    found[key] = at < 0 ? "true" : part.slice(at + 1);
  }
  const type = found.type ?? (found.source === undefined ? "tmpfs" : "bind");
  const destination = found.destination ?? "";
  if (!destination.startsWith("/")) {
    throw new Error(`mount needs an absolute path in the container as dst=: "${text}"`);
  }
  const options = (found.options ?? "").split(":").filter((option) => option !== "");
  if (found.readonly === "true" || found.readonly === "1") options.push("ro");
  if (type !== "bind") return { type, source: found.source ?? type, destination, options };
  if (found.source === undefined || found.source === "") {
    throw new Error(`mount needs src= for a bind: "${text}"`);
  }
  if (!options.includes("bind") && !options.includes("rbind")) options.unshift("rbind");
  return { type, source: realPath(found.source, text), destination, options };
}

function realPath(path: string, where: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    throw new Error(`mount source "${path}" does not exist: "${where}"`);
  }
}

/** Ids of the user to run as. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/**
 * `UID[:GID]` or `NAME[:GROUP]`, names looked up in the rootfs's `/etc/passwd` and `/etc/group`.
 *
 * @throws {Error} a name that those files do not have
 */
export function resolveUser(text: string, rootfs: string): UserIds {
  const [user = "", group] = text.split(":");
  const passwd = readInRootfs(rootfs, "etc/passwd").split("\n").map((line) => line.split(":"));
  const entry = passwd.find((fields) => fields[0] === user) ?? passwd.find((fields) => fields[2] === user);
  const uid = entry?.[2] ?? (/^\d+$/.test(user) ? user : undefined);
  if (uid === undefined) throw new Error(`user "${user}" is not in /etc/passwd of the rootfs "${rootfs}"`);
  return {
    uid: Number(uid),
    gid: group === undefined ? Number(entry?.[3] ?? 0) : resolveGroup(group, rootfs),
  };
}

function resolveGroup(group: string, rootfs: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const lines = readInRootfs(rootfs, "etc/group").split("\n").map((line) => line.split(":"));
  const gid = lines.find((fields) => fields[0] === group)?.[2];
  if (gid === undefined) throw new Error(`group "${group}" is not in /etc/group of the rootfs "${rootfs}"`);
  return Number(gid);
}
