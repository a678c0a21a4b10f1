import assert from "node:assert/strict";
import { thisHost } from "./host.ts";

/** A root folder with modules of a kernel, and a modprobe first in PATH that knows some of them. */
async function withModprobe(known: readonly string[], body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "kata-modprobe-" });
  const path = Deno.env.get("PATH") ?? "";
  try {
    await Deno.mkdir(`${root}/lib/modules/6.1.0-9`, { recursive: true });
    await Deno.writeTextFile(`${root}/lib/modules/6.1.0-9/modules.dep`, "");
    await Deno.mkdir(`${root}/proc`);
    await Deno.writeTextFile(`${root}/proc/version`, "Linux version 6.1.0-9 (builder)");
    const script = `#!/bin/sh
echo "$@" >>'${root}/calls'
shift
failed=0
for name; do
  case " ${known.join(" ")} " in
    *" $name "*) ;;
    *) echo "modprobe: FATAL: Module $name not found in directory /lib/modules/6.1.0-9" >&2; failed=1 ;;
  esac
done
exit $failed
`;
    await Deno.writeTextFile(`${root}/modprobe`, script, { mode: 0o755 });
    Deno.env.set("PATH", `${root}:${path}`);
    await body(root);
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("modules are loaded by one call, and each failure names its module", async () => {
  await withModprobe(["kvm", "vhost"], async (root) => {
    const failed = await thisHost(root).modprobe(["kvm", "kvm_amd", "vhost", "vhost_net"]);
    assert.deepEqual(
      [...failed],
      ["kvm_amd", "vhost_net"].map((
        name,
      ) => [name, `modprobe: FATAL: Module ${name} not found in directory /lib/modules/6.1.0-9`]),
    );
    assert.equal(await Deno.readTextFile(`${root}/calls`), "--all kvm kvm_amd vhost vhost_net\n");
    assert.equal((await thisHost(root).modprobe(["kvm"])).size, 0);
    assert.equal((await thisHost(root).modprobe([])).size, 0);
  });
});

Deno.test("where there are no modules of the kernel, none is asked for", async () => {
  await withModprobe(["kvm"], async (root) => {
    await Deno.remove(`${root}/lib/modules/6.1.0-9/modules.dep`);
    const failed = await thisHost(root).modprobe(["kvm"]);
    assert.deepEqual([...failed], [["kvm", `there are no modules in ${root}/lib/modules/6.1.0-9`]]);
    await assert.rejects(Deno.readTextFile(`${root}/calls`), Deno.errors.NotFound);
  });
});
