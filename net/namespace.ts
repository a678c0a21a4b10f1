/**
 * The network namespace that a pod's links are in and its virtual machine runs in.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import { isErrno } from "../sys/errors.ts";
import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { CLONE, namespaceKind, newNetworkNamespace } from "../sys/host.ts";

/** Which namespace it is, as long as the host runs. */
export interface NamespaceIdentity {
  readonly device: number;
  readonly inode: number;
}

/**
 * A network namespace, held by a descriptor: it cannot vanish while this is open, and one that was made for the pod ends
 * with its last process and descriptor, however they end.
 */
export class PodNamespace implements Disposable {
  /** Path that the client gave; undefined if the namespace was made for the pod. */
  readonly given: string | undefined;
  readonly #fd: OwnedFd;

  private constructor(fd: number, given: string | undefined) {
    this.given = given;
    this.#fd = new OwnedFd(fd);
  }

  /** Makes an empty one. */
  static make(): PodNamespace {
    return new PodNamespace(newNetworkNamespace(), undefined);
  }

  /**
   * Opens the one that a client has made.
   *
   * @throws {RpcError} `INVALID_ARGUMENT`: it is not there, is none, or is the one that this program is in
   */
  static open(path: string): PodNamespace {
    const fd = openPath(path);
    try {
      if (namespaceKind(fd) !== CLONE.NEWNET) {
        throw refused(path, "is not a network namespace, or its namespace has ended");
      }
      const namespace = new PodNamespace(fd, path);
      if (sameAs(namespace.identity, identityOf("/proc/thread-self/ns/net"))) {
        throw refused(path, "is the host's own: a virtual machine cannot share it");
      }
      return namespace;
    } catch (error) {
      new OwnedFd(fd).close();
      throw error;
    }
  }

  get fd(): number {
    return this.#fd.fd;
  }

  /** A path to it that is good for this process and its children while this is open. */
  get path(): string {
    return `/proc/${Deno.pid}/fd/${this.fd}`;
  }

  /** What messages call it. */
  get name(): string {
    return this.given === undefined ? "the pod's network namespace" : `network namespace "${this.given}"`;
  }

  get identity(): NamespaceIdentity {
    return identityOf(`/proc/self/fd/${this.fd}`);
  }

  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens a namespace again if it is still the one that it was; undefined if it has ended. */
export function reopenNamespace(path: string, identity: NamespaceIdentity): PodNamespace | undefined {
  try {
    const namespace = PodNamespace.open(path);
    if (sameAs(namespace.identity, identity)) return namespace;
    namespace.close();
    return undefined;
  } catch (error) {
    if (error instanceof RpcError) return undefined;
    throw error;
  }
}

function openPath(path: string): number {
  try {
    return openFd(path, O.RDONLY | O.NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) throw refused(path, "does not exist");
    if (isErrno(error)) throw refused(path, `cannot be opened: ${error.code}`);
    throw error;
  }
}

function refused(path: string, why: string): RpcError {
  return new RpcError(Code.InvalidArgument, `network namespace "${path}" ${why}`);
}

/** Which namespace a path leads to. @throws {Deno.errors.NotFound} */
export function identityOf(path: string): NamespaceIdentity {
  const { dev, ino } = Deno.statSync(path);
  return { device: dev, inode: ino ?? 0 };
}

function sameAs(one: NamespaceIdentity, other: NamespaceIdentity): boolean {
  return one.device === other.device && one.inode === other.inode;
}
