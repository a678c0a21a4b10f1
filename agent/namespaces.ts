import { O, openFd, OwnedFd } from "../sys/fd.ts";
import { invalidArgument } from "./errors.ts";
import { CLONE, setHostname, setns, unshare } from "../sys/host.ts";

/** A kernel setting. */
export interface Setting {
  readonly name: string;
  readonly path: string;
  readonly value: string;
}

/**
 * The namespaces that all containers of a sandbox share: ipc, and uts with the sandbox's host name.
 *
 * They are kept alive by descriptors; no process needs to sit in them, and nothing has to be mounted.
 */
export class SandboxNamespaces implements Disposable {
  readonly ipc: OwnedFd;
  readonly uts: OwnedFd;

  private constructor(ipc: OwnedFd, uts: OwnedFd) {
    this.ipc = ipc;
    this.uts = uts;
  }

  /**
   * Makes both.
   *
   * The calling thread enters new ones, opens them, and goes back. This is one piece of synchronous code on the only
   * thread that runs JavaScript, so nothing else can happen inside, and threads that exist already are not affected.
   *
   * @param hostname kept as it is in the guest if empty
   * @param sysctls what to write into which files of /proc/sys
   */
  static create(hostname: string, sysctls: readonly Setting[] = []): SandboxNamespaces {
    using before = openCurrent();
    unshare(CLONE.NEWIPC | CLONE.NEWUTS);
    try {
      if (hostname !== "") setHostname(hostname);
      for (const setting of sysctls) write(setting);
      using inside = openCurrent();
      const [ipc, uts] = [inside.ipc.release(), inside.uts.release()];
      return new SandboxNamespaces(new OwnedFd(ipc), new OwnedFd(uts));
    } finally {
      setns(before.ipc.fd, CLONE.NEWIPC);
      setns(before.uts.fd, CLONE.NEWUTS);
    }
  }

  [Symbol.dispose](): void {
    this.ipc.close();
    this.uts.close();
  }
}

function write({ name, path, value }: Setting): void {
  try {
    Deno.writeTextFileSync(path, value, { create: false });
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    const why = error.code === "ENOENT" ? "the guest's kernel does not have it" : error.code;
    throw invalidArgument(`cannot set sysctl "${name}" to ${JSON.stringify(value)}: ${why}`, {
      cause: error,
    });
  }
}

function openCurrent(): { ipc: OwnedFd; uts: OwnedFd } & Disposable {
  using opened = new DisposableStack();
  const ipc = opened.use(new OwnedFd(openFd("/proc/thread-self/ns/ipc", O.RDONLY)));
  const uts = opened.use(new OwnedFd(openFd("/proc/thread-self/ns/uts", O.RDONLY)));
  const owner = opened.move();
  return { ipc, uts, [Symbol.dispose]: () => owner.dispose() };
}
