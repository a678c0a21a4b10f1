import assert from "node:assert/strict";
import { createSandbox } from "../create_sandbox.ts";
import { noIo } from "../io/streams.ts";
import { silentLog } from "../log/log.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";

/** What a pod asks the agent for, and the host, for a container with an emptyDir. */
async function outcome(
  options: { readonly standIn: boolean; readonly disable?: boolean },
): Promise<{ readonly steps: string[]; readonly storages: string[]; readonly source: string | undefined }> {
  await using host = new FakeHost();
  const source = `${host.folder}/kubernetes.io~empty-dir/work`;
  Deno.mkdirSync(source, { recursive: true });
  const config = testConfig();
  config.runtime.disable_guest_empty_dir = options.disable ?? false;
  const common = { config, log: silentLog, host, paths: host.paths };
  await using sandbox = await createSandbox({ ...common, id: "s1", spec: testSpec(), isPod: true });
  const { bundle } = host;
  if (options.standIn) {
    await sandbox.createContainer({ id: "s1", bundle, spec: testSpec(), rootfs: [], io: noIo() });
  }
  const spec = testSpec({ mounts: [{ destination: "/work", type: "bind", source, options: ["rbind"] }] });
  for (const id of ["a", "b"]) await sandbox.createContainer({ id, bundle, spec, rootfs: [], io: noIo() });
  const [request] = host.guest.requests;
  return {
    steps: host.steps.filter((step) => step.startsWith("share ") && !/rootfs of [ab]$/.test(step)),
    storages: request?.storages.map(({ driver, mountPoint }) => `${driver} ${mountPoint}`) ?? [],
    source: request?.OCI?.Mounts.find(({ destination }) => destination === "/work")?.source,
  };
}

Deno.test("volumes on disk are in the root of the container that stands for the pod, shown once", async () => {
  const place = "/guest/s1/rootfs/local/work";
  assert.deepEqual(await outcome({ standIn: true }), {
    steps: ["share rootfs of s1"],
    storages: [`local ${place}`],
    source: place,
  });
});

Deno.test("where nothing stands for the pod, or that is asked for, they are the host's folders", async () => {
  const shared = {
    steps: ["share /work of a", "share /work of b"],
    storages: [],
    source: "/guest/a/work",
  };
  assert.deepEqual(await outcome({ standIn: false }), shared);
  assert.deepEqual(await outcome({ standIn: true, disable: true }), shared);
});
