/**
 * Volumes of pods, made on the host as Kubernetes' node agent makes them, and asked for over the container runtime
 * interface.
 *
 * @module
 */

import assert from "node:assert/strict";
import { MountPropagation } from "../../rpc/gen/cri_pb.ts";
import { run } from "../../tools/process.ts";
import { type CriNode, type Pod, startNode } from "./cri/node.ts";
import { until } from "./containerd.ts";
import { leaksSince, traces } from "./leaks.ts";

/** The folder that the node agent would have for a pod. */
class PodFolder implements AsyncDisposable {
  readonly path: string;
  readonly #mounted: string[] = [];

  constructor(node: CriNode) {
    this.path = `${node.folder}/kubelet/pods/x`;
  }

  /** A volume of a kind. */
  async volume(kind: string, name: string): Promise<string> {
    const path = `${this.path}/volumes/kubernetes.io~${kind}/${name}`;
    await Deno.mkdir(path, { recursive: true });
    await Deno.chmod(path, 0o777);
    return path;
  }

  async mount(path: string, ...args: string[]): Promise<string> {
    await run(["mount", ...args, path]);
    this.#mounted.push(path);
    return path;
  }

  /** A part of a volume, as `subPath` has it: bound elsewhere. */
  async part(volume: string, part: string, index: number): Promise<string> {
    const path = `${this.path}/volume-subpaths/${volume.slice(volume.lastIndexOf("/") + 1)}/web/${index}`;
    const { isFile } = await Deno.stat(`${volume}/${part}`);
    await Deno.mkdir(isFile ? path.replace(/\/[^/]*$/, "") : path, { recursive: true });
    if (isFile) await Deno.writeTextFile(path, "");
    return await this.mount(path, "--bind", `${volume}/${part}`);
  }

  /** What a pod's volumes are: on the host before the pod is. */
  async fill(): Promise<void> {
    const work = await this.volume("empty-dir", "work");
    for (const part of [`${work}/sub`, `${work}/sub/$(POD)`]) {
      await Deno.mkdir(part);
      await Deno.chmod(part, 0o777);
    }
    await this.part(work, "sub/$(POD)", 0);
    await this.mount(await this.volume("empty-dir", "small"), "-t", "tmpfs", "-o", "size=1m", "tmpfs");
    const config = await this.volume("configmap", "config");
    await Deno.mkdir(`${config}/..1`);
    await Deno.writeTextFile(`${config}/..1/key`, "value\n");
    await Deno.symlink("..1", `${config}/..data`);
    await Deno.symlink("..data/key", `${config}/key`);
    await this.part(config, "key", 3);
    const projected = await this.volume("projected", "token");
    await Deno.mkdir(`${projected}/..1/deep`, { recursive: true });
    await Deno.writeTextFile(`${projected}/..1/deep/token`, "secret\n", { mode: 0o640 });
    await Deno.symlink("..1", `${projected}/..data`);
    await Deno.symlink("..data/deep", `${projected}/deep`);
    const host = `${this.path}/host`;
    await Deno.mkdir(host);
    await this.mount(host, "-t", "tmpfs", "-o", "size=1m", "tmpfs");
    await run(["mount", "--make-shared", host]);
    await Deno.mkdir(`${host}/later`);
    await Deno.writeTextFile(`${host}/file`, "a file\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#mounted.toReversed()) await run(["umount", "--recursive", path]);
  }
}

Deno.test("volumes of pods", async (t) => {
  const before = await traces();
  {
    await using node = await startNode();
    await using folder = new PodFolder(node);
    await folder.fill();
    const { path } = folder;
    const pod = await node.runPod({ linux: { securityContext: { privileged: true } } });

    await t.step("an emptyDir and a part of it, by two containers", () => emptyDir(pod, path));
    await t.step(
      "an emptyDir in memory is full when its limit is reached",
      () => memory(pod, path),
    );
    await t.step("single files and projected volumes", () => files(pod, path));
    await t.step("folders, files, sockets and devices of the host", () => hostPaths(pod, path));
    await t.step(
      "mounts of the host reach who wants them, those of a container stay",
      () => propagation(pod, path),
    );
    await t.step("what vanished is named, and the pod goes on", async () => {
      const source = `${path}/vanishing`;
      await Deno.mkdir(source);
      const id = await pod.create("vanished", "true", {
        mounts: [{ containerPath: "/v", hostPath: source }],
      });
      await Deno.remove(source);
      await assert.rejects(
        pod.start(id),
        new RegExp(`cannot mount "/v": its source "${source}" does not exist`),
      );
      await node.runtime.removeContainer({ containerId: id });
      assert.equal((await pod.runToEnd("after", "echo fine")).output, "fine\n");
    });
    await t.step("two pods with the same folder of the host", async () => {
      const mounts = [{ containerPath: "/host", hostPath: `${path}/host` }];
      const first = pod.runToEnd(
        "first",
        "until [ -e /host/from-second ]; do sleep 0.1; done; cat /host/from-second",
        {
          mounts,
        },
      );
      const other = await node.runPod();
      assert.equal(
        (await other.runToEnd(
          "second",
          "echo hello > /host/unfinished && mv /host/unfinished /host/from-second",
          { mounts },
        )).code,
        0,
      );
      assert.equal((await first).output, "hello\n");
      await other.stop();
      await other.remove();
    });

    const snapshots = () => node.containerd.ctr(["-n", "k8s.io", "snapshots", "ls"]);
    assert.ok((await snapshots()).includes(pod.id));
    await pod.stop();
    await pod.remove();
    // with the layer that it was in, whose files the engine removes when it likes
    assert.ok(!(await snapshots()).includes(pod.id), "the volume went with its pod");
  }
  assert.deepEqual(await leaksSince(before), []);
});

async function emptyDir(pod: Pod, path: string): Promise<void> {
  const volume = { containerPath: "/work", hostPath: `${path}/volumes/kubernetes.io~empty-dir/work` };
  const part = { containerPath: "/part", hostPath: `${path}/volume-subpaths/work/web/0` };
  const user = { linux: { securityContext: { runAsUser: { value: 1000n } } } };
  const writer = await pod.run("writer", "sleep 1000", { mounts: [volume], ...user });
  const reader = await pod.run("reader", "sleep 1000", {
    mounts: [part, { ...volume, readonly: true }],
    ...user,
  });
  assert.equal(
    (await pod.exec(writer, "echo one > '/work/sub/$(POD)/file'; stat -c %a /work")).stdout,
    "777\n",
  );
  assert.equal((await pod.exec(reader, "cat /part/file; echo two >> /part/file")).stdout, "one\n");
  assert.equal((await pod.exec(writer, "cat '/work/sub/$(POD)/file'")).stdout, "one\ntwo\n");
  assert.match((await pod.exec(reader, "touch /work/x")).stderr, /Read-only/);
  for (const containerId of [writer, reader]) await pod.node.runtime.removeContainer({ containerId });
  assert.equal(
    (await pod.runToEnd("again", "cat '/work/sub/$(POD)/file'", { mounts: [volume] })).output,
    "one\ntwo\n",
  );
}

async function memory(pod: Pod, path: string): Promise<void> {
  const volume = (name: string) => `${path}/volumes/kubernetes.io~empty-dir/${name}`;
  const mounts = [{ containerPath: "/small", hostPath: volume("small") }];
  const full = await pod.runToEnd("full", "dd if=/dev/zero of=/small/x bs=1M count=2", { mounts });
  assert.deepEqual([full.code, /No space left on device/.test(full.output)], [1, true], full.output);
}

async function files(pod: Pod, path: string): Promise<void> {
  const mounts = [
    { containerPath: "/etc/app/key.conf", hostPath: `${path}/volume-subpaths/config/web/3`, readonly: true },
    { containerPath: "/config", hostPath: `${path}/volumes/kubernetes.io~configmap/config`, readonly: true },
    { containerPath: "/token", hostPath: `${path}/volumes/kubernetes.io~projected/token`, readonly: true },
  ];
  const script = "cat /etc/app/key.conf /config/key /token/deep/token; stat -L -c %a /token/deep/token; " +
    "for f in /etc/app/key.conf /config/key /token/new; do echo x > $f; done";
  const { output } = await pod.runToEnd("files", script, { mounts });
  assert.match(output, /^value\nvalue\nsecret\n640\n(.*Read-only file system\n){3}$/);
}

async function hostPaths(pod: Pod, path: string): Promise<void> {
  const source = `${path}/host`;
  using socket = Deno.listen({ transport: "unix", path: `${source}/socket` });
  const mounts = [
    { containerPath: "/host", hostPath: source },
    { containerPath: "/host-file", hostPath: `${source}/file`, readonly: true },
    { containerPath: "/host-socket", hostPath: `${source}/socket` },
    { containerPath: "/host-zero", hostPath: "/dev/zero" },
    { containerPath: "/dev/fuse", hostPath: "/dev/fuse" },
  ];
  const script =
    "cat /host-file; stat -c %F /host-socket /host-zero /dev/fuse; head -c 3 /host-zero | od -An -tx1; " +
    "echo x > /host-file; dd if=/dev/zero of=/host/large bs=1M count=2; rm /host/large";
  const { output } = await pod.runToEnd("host", script, { mounts });
  assert.match(
    output,
    /^a file\nsocket\ncharacter special file\ncharacter special file\n 00 00 00\n.*Read-only.*\n.*No space left on device/,
  );
  assert.ok(socket.addr);
}

async function propagation(pod: Pod, path: string): Promise<void> {
  const hostPath = `${path}/host`;
  const kinds = ["PRIVATE", "HOST_TO_CONTAINER", "BIDIRECTIONAL"] as const;
  const ids = [];
  for (const kind of kinds) {
    const mounts = [{
      containerPath: "/host",
      hostPath,
      propagation: MountPropagation[`PROPAGATION_${kind}`],
    }];
    const linux = { securityContext: { privileged: kind === "BIDIRECTIONAL" } };
    ids.push(await pod.run(kind.toLowerCase(), "sleep 1000", { mounts, linux }));
  }
  await run(["mount", "-t", "tmpfs", "tmpfs", `${hostPath}/later`]);
  await Deno.writeTextFile(`${hostPath}/later/seen`, "");
  const [alone = "", follower = "", both = ""] = ids;
  for (const id of [follower, both]) {
    await until("the mount is seen", async () => (await pod.exec(id, "ls /host/later")).stdout === "seen\n");
  }
  assert.equal((await pod.exec(alone, "ls /host/later")).stdout, "");
  const inside = await pod.exec(
    both,
    "mkdir /host/own && mount -t tmpfs none /host/own && touch /host/own/file",
  );
  assert.equal(inside.code, 0, inside.stderr);
  assert.deepEqual([...Deno.readDirSync(`${hostPath}/own`)], [], "the host's mounts are not the guest's");
  for (const containerId of ids) await pod.node.runtime.removeContainer({ containerId });
  await run(["umount", `${hostPath}/later`]);
}
