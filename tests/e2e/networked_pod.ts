/**
 * Pods with links to a world outside, for tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Cables, layCables } from "./cables.ts";
import { type ConfigurationChange, writeConfiguration } from "./configuration.ts";
import { type DirectShim, execProcess, memberOf, POD, startShim } from "./direct_shim.ts";
import { leaksSince, ownId, traces } from "./leaks.ts";
import { temporaryRootfs } from "./rootfs.ts";

/** A pod in a namespace, with a container that can be asked to run something. */
export class NetworkedPod implements AsyncDisposable {
  readonly id: string;
  readonly shim: DirectShim;
  #count = 0;

  private constructor(id: string, shim: DirectShim) {
    this.id = id;
    this.shim = shim;
  }

  static async boot(
    name: string,
    rootfs: string,
    configuration: string,
    netns: string,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<NetworkedPod> {
    const id = ownId(name);
    const shim = await startShim(id, { configuration });
    try {
      const pod = new NetworkedPod(id, shim);
      const bundle = shim.writeBundle(id, {
        args: ["sleep", "1000"],
        rootfs,
        annotations: { ...POD, ...annotations },
        netns,
      });
      await shim.task.create({ id, bundle });
      await shim.task.start({ id });
      const member = shim.writeBundle("member", {
        args: ["sleep", "1000"],
        rootfs,
        annotations: memberOf(id),
        netns,
      });
      await shim.task.create({ id: "member", bundle: member });
      await shim.task.start({ id: "member" });
      return pod;
    } catch (error) {
      await shim[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a script in the container; returns what it wrote. */
  async run(script: string): Promise<string> {
    const execId = `e${this.#count++}`;
    const stdout = this.shim.outputFifo(execId);
    const spec = execProcess(["sh", "-c", `(${script}) 2>&1; echo "=$?"`]);
    await this.shim.task.exec({ id: "member", execId, stdout: stdout.path, spec });
    await this.shim.task.start({ id: "member", execId });
    const text = await stdout.text;
    await this.shim.task.wait({ id: "member", execId });
    await this.shim.task.delete({ id: "member", execId });
    assert(text.endsWith("=0\n"), `${script}: ${text}`);
    return text.slice(0, -3);
  }

  async end(): Promise<void> {
    const { task } = this.shim;
    for (const id of ["member", this.id]) {
      const waiting = task.wait({ id });
      await task.kill({ id, signal: 9 });
      await waiting;
      await task.delete({ id });
    }
    await task.shutdown({ id: this.id });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shim[Symbol.asyncDispose]();
  }
}

/** What a test of a pod's network has. */
export interface Scene {
  readonly cables: Cables;
  readonly rootfs: string;
  /** @param annotations of the pod */
  boot(
    name: string,
    change?: ConfigurationChange,
    annotations?: Readonly<Record<string, string>>,
  ): Promise<NetworkedPod>;
}

/** A pod's network and all that a pod in it needs; nothing of it may be left. */
export async function scene(use: (scene: Scene) => Promise<void>): Promise<void> {
  const before = await traces();
  {
    await using rootfs = await temporaryRootfs();
    await using cables = await layCables();
    await Deno.mkdir(`${rootfs.folder}/www`);
    await Deno.writeTextFile(`${rootfs.folder}/www/hello`, "from outside\n");
    cables.serve(`${rootfs.folder}/www`);
    const boot: Scene["boot"] = (name, change, annotations) => {
      const configuration = writeConfiguration(rootfs.folder, change);
      return NetworkedPod.boot(name, rootfs.path, configuration, cables.pod.path, annotations);
    };
    await use({ cables, rootfs: rootfs.path, boot });
  }
  assert.deepEqual(await leaksSince(before), []);
}

/** A command that gets the file that is served outside. */
export const FETCH = (address: string) => `wget -q -O - http://${address}/hello`;
