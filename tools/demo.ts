/**
 * The demonstration: one container in its own VM with `kata-runtime run`, then one through containerd. Both print
 * their kernel, which is not the host's.
 *
 * @module
 */

import { startContainerd } from "../tests/e2e/containerd.ts";
import { DIST } from "./paths.ts";
import { run } from "./process.ts";
import { makeRootfs } from "./rootfs.ts";

const hostKernel = (await run(["uname", "-r"])).trim();
let failed = false;

await using cleanUp = new AsyncDisposableStack();
const folder = cleanUp.adopt(await Deno.makeTempDir({ prefix: "kata-demo-" }), remove);
const rootfs = await step("making a root file system of busybox", () => makeRootfs(`${folder}/rootfs`));

const direct = await step(
  "kata-runtime run: booting a VM for one container",
  () => run([`${DIST}/kata`, "run", "--rootfs", rootfs, "--", "uname", "-r"], { timeoutMs: 120_000 }),
);
compare("kata-runtime run", direct.trim());

const containerd = cleanUp.use(await step("starting a containerd of its own", () => startContainerd()));
const throughContainerd = await step(
  "ctr run --runtime io.containerd.kata.v2: the same through containerd",
  () =>
    containerd.ctr([
      "run",
      "--rm",
      "--runtime",
      "io.containerd.kata.v2",
      "--rootfs",
      rootfs,
      "demo",
      "uname",
      "-r",
    ]),
);
compare("ctr run", throughContainerd.trim());

if (failed) throw new Error("a container saw the host's kernel");
console.log("\nTwo kernels each time: the container runs in a virtual machine of its own.");

/** Runs a step with a line before it and its time after it. */
async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  console.log(`==> ${title}`);
  const started = performance.now();
  const result = await work();
  console.log(`    ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}

function compare(how: string, guestKernel: string): void {
  console.log(`    ${how}`);
  console.log(`    host kernel:  ${hostKernel}`);
  console.log(`    guest kernel: ${guestKernel}`);
  if (guestKernel === "" || guestKernel === hostKernel) failed = true;
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true });
}
