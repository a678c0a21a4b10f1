/**
 * Files of the host for guests that see none of them (`shared_fs = "none"`): the agent is sent copies.
 *
 * What the guest changes stays in the guest. What the host changes is not seen there, but for configuration that
 * Kubernetes' node agent publishes: that is copied again.
 *
 * @module
 */

import { Code, RpcError } from "../../rpc/errors.ts";
import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import type { ServiceClient } from "../../rpc/ttrpc/typed.ts";
import { S } from "../../sys/fd.ts";
import { basename } from "../../sys/path.ts";
import {
  CONFINED,
  filePieces,
  inCopyOrder,
  isSameTree,
  PRESENT_VERSION,
  TreeChanged,
  type TreeEntry,
  type TreeLimits,
  treeSnapshot,
} from "../../sys/tree_snapshot.ts";
import type { Share, SharedSource } from "../host.ts";
import { type Log, reason } from "../log/log.ts";
import { GUEST_SHARED_FOLDER } from "../state/paths.ts";

/** The call that copies. */
export type CopyCall = Pick<ServiceClient<typeof AgentService.methods>, "copyFile">;

/** What copying needs. */
export interface CopiedFilesOptions {
  readonly agent: CopyCall;
  readonly log: Log;
  /** of the guest, in MiB: copies are in it */
  readonly memoryMiB: number;
}

const MIB = 1_048_576;
/** Size of what is sent at once, in bytes. */
const PIECE_BYTES = MIB;
const CALL_TIMEOUT_MS = 60_000;
/** Part of the guest's memory that one mount may take. */
const MEMORY_PART = 0.5;
const LIMITS = { files: 50_000, entries: 100_000, depth: 64 };
/** How often something that is being changed is looked at again. */
const TRIES = 5;
const MAX_LABEL = 64;

/** How Kubernetes names the folders of volumes that it changes while they are used. */
const PUBLISHED = /\/kubernetes\.io~(?:configmap|secret|projected|downward-api)\/[^/]+$/;
/** The guest has two places for versions, and they take turns, as the agent API cannot remove anything. */
const VERSION_PLACES = ["..0", "..1"] as const;

/** The copies of one sandbox. */
export class CopiedFiles implements Share {
  /** nothing is served */
  readonly exported = "";
  readonly #options: CopiedFilesOptions;
  readonly #limits: TreeLimits;
  readonly #followed = new Map<string, Followed[]>();

  constructor(options: CopiedFilesOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, bytes: Math.floor(options.memoryMiB * MIB * MEMORY_PART) };
  }

  /** @throws {RpcError} always: a whole system is more than can be copied */
  addRootfs(containerId: string): Promise<string> {
    return Promise.reject(
      new RpcError(
        Code.InvalidArgument,
        `the root file system of container "${containerId}" must be on a disk that a snapshotter has made, ` +
          'as shared_fs is "none"',
      ),
    );
  }

  /** @throws {Error} there is too much to copy, or it does not stand still */
  async addMount(containerId: string, { source, destination }: SharedSource): Promise<string | undefined> {
    const { isFile, isDirectory } = await Deno.stat(source);
    if (!isFile && !isDirectory) return undefined;
    const random = crypto.getRandomValues(new Uint8Array(8)).toHex();
    const label = basename(destination.replace(/\/+$/, "")).slice(0, MAX_LABEL) || "root";
    const target = `${GUEST_SHARED_FOLDER}/${containerId}-${random}-${label}`;
    try {
      if (PUBLISHED.test(source) && await Followed.canBe(source)) {
        await this.#follow(containerId, source, target);
      } else await this.#copy(source, target);
    } catch (error) {
      throw new Error(`cannot copy "${source}" into the guest: ${reason(error)}`, { cause: error });
    }
    return target;
  }

  async addSandboxMounts(sources: readonly string[]): Promise<void> {
    for (const source of sources) {
      await this.#copy(
        source,
        `${GUEST_SHARED_FOLDER}/sandbox-mounts/${basename(source.replace(/\/+$/, ""))}`,
      );
    }
  }

  /** Nothing is watched in such a guest: changes of a copy are the guest's own. */
  addWatchable(): Promise<string> {
    return Promise.reject(new Error('nothing is shared with a guest whose shared_fs is "none"'));
  }

  /** Copies go with their container in the guest. */
  remove(containerId: string): Promise<void> {
    for (const followed of this.#followed.get(containerId) ?? []) followed.end();
    this.#followed.delete(containerId);
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#followed.keys()]) await this.remove(id);
  }

  async #copy(source: string, target: string): Promise<void> {
    await steadily(async () => {
      for (const entry of inCopyOrder(await treeSnapshot(source, this.#limits, CONFINED))) {
        await send(
          this.#options.agent,
          source,
          entry,
          entry.path === "" ? target : `${target}/${entry.path}`,
        );
      }
    });
  }

  async #follow(containerId: string, source: string, target: string): Promise<void> {
    const followed = new Followed(source, target, this.#limits, this.#options);
    const others = this.#followed.get(containerId);
    if (others) others.push(followed);
    else this.#followed.set(containerId, [followed]);
    await followed.begin();
  }
}

/** A volume that the node agent publishes versions of, and its copy. */
class Followed {
  readonly #source: string;
  readonly #target: string;
  readonly #limits: TreeLimits;
  readonly #options: CopiedFilesOptions;
  /** what was copied last, and where its version is */
  #entries: readonly TreeEntry[] = [];
  #place: (typeof VERSION_PLACES)[number] = VERSION_PLACES[1];
  #watcher: Deno.FsWatcher | undefined;

  constructor(source: string, target: string, limits: TreeLimits, options: CopiedFilesOptions) {
    this.#source = source;
    this.#target = target;
    this.#limits = limits;
    this.#options = options;
  }

  /** Whether there is a version of it. */
  static canBe(source: string): Promise<boolean> {
    return Deno.readLink(`${source}/${PRESENT_VERSION}`).then(() => true, () => false);
  }

  /** Copies it; from then on the copy follows. */
  async begin(): Promise<void> {
    // whatever happens from now on is looked at after the first copy
    const watcher = this.#watcher = Deno.watchFs(this.#source, { recursive: false });
    await steadily(() => this.#copy());
    this.#run(watcher).catch((error) => this.#complain(error));
  }

  end(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  async #run(watcher: Deno.FsWatcher): Promise<void> {
    for await (const _event of watcher) {
      await steadily(() => this.#copy()).catch((error) => this.#complain(error));
    }
  }

  #complain(error: unknown): void {
    // the guest went with the container
    if (this.#watcher === undefined) return;
    const { log } = this.#options;
    log.write("warning", `changes of "${this.#source}" do not reach the guest: ${reason(error)}`);
  }

  /** A new version goes to the place that is not in use, then the link to it changes, then the old one goes. */
  async #copy(): Promise<void> {
    const all = await treeSnapshot(this.#source, this.#limits, CONFINED);
    const version = presentVersion(all);
    const entries = all.filter(({ path }) => isWithinVersion(path, version) || !path.startsWith(".."));
    // its container may be gone, and with it the copy
    if (this.#watcher === undefined || isSameTree(entries, this.#entries)) return;
    const isNew = version !== presentVersion(this.#entries);
    const [first, second] = VERSION_PLACES;
    const old = this.#place;
    const place = isNew ? (old === first ? second : first) : old;
    const { agent } = this.#options;
    if (isNew) await this.#clear(place);
    for (const entry of inCopyOrder(entries)) {
      if (this.#watcher === undefined) return;
      const path = isWithinVersion(entry.path, version) && entry.path !== PRESENT_VERSION
        ? place + entry.path.slice(version.length)
        : entry.path;
      const target = path === PRESENT_VERSION ? place : entry.target;
      const at = path === "" ? this.#target : `${this.#target}/${path}`;
      await send(agent, this.#source, { ...entry, target }, at);
    }
    if (isNew && this.#entries.length > 0) await this.#clear(old);
    this.#entries = entries;
    this.#place = place;
  }

  /** A link takes the place of a folder with all that is in it. */
  async #clear(place: string): Promise<void> {
    const link = { kind: "link", mode: 0o777, uid: 0, gid: 0, size: 0, target: "..none", stamp: "" } as const;
    await send(this.#options.agent, this.#source, { ...link, path: place }, `${this.#target}/${place}`);
  }
}

function presentVersion(entries: readonly TreeEntry[]): string {
  return entries.find(({ path }) => path === PRESENT_VERSION)?.target ?? "";
}

/** The link to it is a part of a version. */
function isWithinVersion(path: string, version: string): boolean {
  return path === PRESENT_VERSION || path === version || path.startsWith(`${version}/`);
}

/** Tries again while something is being changed. */
async function steadily(action: () => Promise<void>): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof TreeChanged) || tries === TRIES) throw error;
    }
  }
}

/** @param source folder that the entry is in */
async function send(agent: CopyCall, source: string, entry: TreeEntry, path: string): Promise<void> {
  const { kind, mode, uid, gid, size, target } = entry;
  const type = kind === "folder" ? S.IFDIR : kind === "file" ? S.IFREG : S.IFLNK;
  const common = { path, uid, gid, fileMode: type | (mode & 0o7777), dirMode: 0o755, fileSize: BigInt(size) };
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  if (kind !== "file") {
    const data = kind === "link" ? new TextEncoder().encode(target) : new Uint8Array();
    await agent.copyFile({ ...common, data }, options);
    return;
  }
  for await (const { offset, data } of filePieces(source, entry, PIECE_BYTES, CONFINED)) {
    await agent.copyFile({ ...common, offset: BigInt(offset), data }, options);
  }
}
