/**
 * A server that was not made for this: nginx, with the libraries that its package asks for, as a pod on a node's network.
 *
 * @module
 */

import assert from "node:assert/strict";
import { makeDebianRootfs } from "../../tools/debian_rootfs.ts";
import { digest } from "../../tools/paths.ts";
import { until } from "./containerd.ts";
import { startNode } from "./cri/node.ts";
import { makeImage } from "./image.ts";
import { leaksSince, traces } from "./leaks.ts";

const IMAGE = "localhost/kata-nginx:latest";
const LARGE = 16 * 1_048_576;

/** Workers that are not root, one log on standard output, and files that the kernel sends by itself. */
const SETTINGS = `
user www-data;
worker_processes 2;
error_log stderr notice;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
  access_log /dev/stdout;
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  server {
    listen 80;
    location / { root /srv; }
    location = /who { return 200 "$server_addr $remote_addr"; }
  }
}
`;

Deno.test("nginx of the distribution answers the host's requests", async (t) => {
  const before = await traces();
  {
    await using node = await startNode();
    const rootfs = await makeDebianRootfs(["nginx"], `${node.folder}/nginx`);
    const image = await makeImage(rootfs, node.folder, { name: IMAGE, command: ["/usr/sbin/nginx"] });
    await node.containerd.ctr(["-n", "k8s.io", "image", "import", image]);
    const [settings, documents] = [`${node.folder}/nginx.conf`, `${node.folder}/documents`];
    await Deno.writeTextFile(settings, SETTINGS);
    await Deno.mkdir(documents);
    await Deno.writeTextFile(`${documents}/hello`, "hello from a volume\n");
    const large = new Uint8Array(LARGE);
    for (let at = 0; at < LARGE; at += 65_536) crypto.getRandomValues(large.subarray(at, at + 65_536));
    await Deno.writeFile(`${documents}/large`, large);
    const sum = await digest(large);

    const pod = await node.runPod();
    const serve = () =>
      pod.run("nginx", "", {
        image: { image: IMAGE },
        command: ["/usr/sbin/nginx", "-g", "daemon off;"],
        mounts: [
          { containerPath: "/etc/nginx/nginx.conf", hostPath: settings, readonly: true },
          { containerPath: "/srv", hostPath: documents, readonly: true },
        ],
      });
    const { status } = await node.runtime.podSandboxStatus({ podSandboxId: pod.id });
    const ip = status?.network?.ip ?? "";
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(`http://${ip}/${path}`, init);
      return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
    };
    const text = async (path: string) => new TextDecoder().decode((await get(path)).body);
    const answers = () =>
      until(
        "the server answers",
        async () => await get("hello").then(({ status }) => status === 200, () => false),
      );
    const nginx = (id: string, signal: string) =>
      node.runtime.execSync({ containerId: id, cmd: ["/usr/sbin/nginx", "-s", signal], timeout: 60n });

    const first = await serve();
    await answers();
    await t.step("documents of a volume, a large one too, and several at once", async () => {
      assert.equal(await text("hello"), "hello from a volume\n");
      assert.match(await text("who"), new RegExp(`^${ip.replaceAll(".", "\\.")} \\d`));
      assert.equal((await get("nothing")).status, 404);
      const all = await Promise.all([
        ...["large", "large"].map(async (path) => await digest((await get(path)).body)),
        ...Array.from({ length: 16 }, () => text("hello")),
      ]);
      assert.deepEqual(all, [sum, sum, ...Array.from({ length: 16 }, () => "hello from a volume\n")]);
      const part = await get("large", { headers: { range: "bytes=1000000-1000999" } });
      assert.deepEqual([part.status, part.body], [206, large.slice(1_000_000, 1_001_000)]);
    });
    await t.step("requests are in the container's log", async () => {
      const line = new RegExp(`"GET /large HTTP/1.1" 200 ${LARGE} `);
      await until("it has them", async () => line.test(await pod.output(first)));
      assert.match(
        await pod.output(first),
        /open\(\) "\/srv\/nothing" failed \(2: No such file or directory\)/,
      );
    });
    await t.step("a document that is replaced, and new workers on request", async () => {
      await Deno.writeTextFile(`${documents}/new`, "another\n");
      await Deno.rename(`${documents}/new`, `${documents}/hello`);
      await until("it is served", async () => await text("hello") === "another\n");
      const { exitCode, stderr } = await nginx(first, "reload");
      assert.equal(exitCode, 0, new TextDecoder().decode(stderr));
      await until(
        "the old ones have ended",
        async () => /worker process \d+ exited with code 0/.test(await pod.output(first)),
      );
      assert.equal(await text("hello"), "another\n");
    });
    await t.step("it ends as it is asked to, and starts again", async () => {
      await node.runtime.stopContainer({ containerId: first, timeout: 60n });
      const stopped = await pod.exited(first);
      assert.deepEqual([stopped.exitCode, stopped.reason], [0, "Completed"]);
      const second = await serve();
      await answers();
      assert.equal((await nginx(second, "quit")).exitCode, 0);
      assert.equal((await pod.exited(second)).exitCode, 0);
      await assert.rejects(get("hello"));
    });
    await pod.stop();
    await pod.remove();
  }
  assert.deepEqual(await leaksSince(before), []);
});
