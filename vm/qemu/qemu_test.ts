import assert from "node:assert/strict";
import { encodeCpio } from "../../guest/cpio.ts";
import { ERRNO, SysError } from "../../sys/errors.ts";
import type { OwnedFd } from "../../sys/fd.ts";
import { TestNamespace } from "../../sys/test_helpers.ts";
import { openTap } from "../../sys/tun.ts";
import type { Nic, VmConfig } from "../vmm.ts";
import type { KvmHost } from "./accelerator.ts";
import { createQemu, qemu } from "./qemu.ts";
import { type TinyVm, withTinyVm } from "./testing/config.ts";

/** What start() says about a configuration that cannot work. */
async function failureOf({ config }: TinyVm, changes: Partial<VmConfig>, vmm = qemu): Promise<string> {
  try {
    await using vm = await vmm.start({ ...config, ...changes });
    return assert.fail(`a VM started with process ${vm.pid}`);
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
}

/** A program in the place of QEMU. */
function fakeQemu({ folder }: TinyVm, script: string): string {
  const path = `${folder}/qemu-system-fake`;
  Deno.writeTextFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

const kvmWorks: KvmHost = {
  openKvm: () => ({ apiVersion: 12, maxVcpus: 1, canCreateVm: true }),
  cpuFlags: () => ["vmx"],
};
const noKvm: KvmHost = {
  ...kvmWorks,
  openKvm() {
    throw new SysError("openat", ERRNO.ENOENT, "/dev/kvm");
  },
};

Deno.test("a kernel or initrd that cannot be used is named with the reason", () =>
  withTinyVm(async (tiny) => {
    const { folder } = tiny;
    Deno.writeTextFileSync(`${folder}/empty`, "");
    Deno.writeTextFileSync(`${folder}/text`, "no kernel");
    const cases: [Partial<VmConfig>, string][] = [
      [{ kernel: `${folder}/none` }, `cannot use the guest kernel "${folder}/none": ENOENT`],
      [{ kernel: folder }, `cannot use the guest kernel "${folder}": it is not a file`],
      [{ kernel: `${folder}/empty` }, `cannot use the guest kernel "${folder}/empty": it is empty`],
      [
        { kernel: `${folder}/text` },
        `cannot use the guest kernel "${folder}/text": it is neither an ELF file nor a bzImage`,
      ],
      [{ initrd: `${folder}/none` }, `cannot use the initrd "${folder}/none": ENOENT`],
      [{ initrd: `${folder}/empty` }, `cannot use the initrd "${folder}/empty": it is empty`],
    ];
    for (const [changes, message] of cases) assert.equal(await failureOf(tiny, changes), message);
  }));

Deno.test("a confidential guest does not boot from a disk, which nobody measures", () =>
  withTinyVm(async (tiny) => {
    const initrd = `${tiny.folder}/initrd`;
    const data = new TextEncoder().encode("4096 4096\n");
    Deno.writeFileSync(initrd, encodeCpio([{ kind: "file", path: ".kata-disk", data }]));
    Deno.truncateSync(initrd, 8192);
    const confidential = { snp: true, snpPolicy: 0, quotePort: 4050 };
    assert.equal(
      await failureOf(tiny, { initrd, confidential }),
      `a confidential guest needs an initrd without a disk: "${initrd}" has one; build it with --in-memory`,
    );
  }));

Deno.test("a kernel that QEMU does not take is reported in QEMU's words", () =>
  withTinyVm(async (tiny) => {
    const kernel = `${tiny.folder}/cut`;
    Deno.writeFileSync(kernel, Deno.readFileSync(tiny.config.kernel).subarray(0, 0x90));
    assert.match(
      await failureOf(tiny, { kernel }),
      /^cannot start the VM with accelerator "tcg": QEMU exited with 1: ./,
    );
  }));

Deno.test("a QEMU that is missing or no program is named", () =>
  withTinyVm(async (tiny) => {
    const start = (hypervisorPath: string) => failureOf(tiny, { hypervisorPath });
    assert.equal(await start("/nonexistent/qemu"), 'cannot start QEMU "/nonexistent/qemu": ENOENT');
    assert.equal(await start("no-such-qemu"), 'cannot start QEMU "no-such-qemu": ENOENT');
    assert.equal(await start("/etc/passwd"), 'cannot start QEMU "/etc/passwd": EACCES');
  }));

Deno.test("a QEMU that ends at once is reported with its last words, however it ended", () =>
  withTinyVm(async (tiny) => {
    const run = (script: string) => failureOf(tiny, { hypervisorPath: fakeQemu(tiny, script) });
    const prefix = 'cannot start the VM with accelerator "tcg": QEMU ';
    assert.equal(await run("exit 0"), `${prefix}exited with 0 without a message`);
    assert.equal(await run("echo 'qemu-system-fake: broken' >&2; exit 3"), `${prefix}exited with 3: broken`);
    assert.equal(await run("echo 'qemu: a'; echo b; kill -ABRT $$"), `${prefix}was killed by SIGABRT: a; b`);
  }));

Deno.test("a QEMU that closes its control socket does not linger", () =>
  withTinyVm(async (tiny) => {
    const hypervisorPath = fakeQemu(tiny, "exec 3>&-; exec sleep 1000");
    assert.match(await failureOf(tiny, { hypervisorPath }), /QEMU was killed by SIGKILL without a message$/);
  }));

Deno.test("auto tries once more without KVM when QEMU fails with it, and says so", () =>
  withTinyVm(async (tiny) => {
    const script =
      `case "$*" in *"-accel kvm"*) echo "no MSR 0x10a" >&2; exit 1;; esac; echo "as tcg"; exit 2`;
    const hypervisorPath = fakeQemu(tiny, script);
    const message = await failureOf(
      tiny,
      { hypervisorPath, accelerator: "auto" },
      createQemu({ kvm: kvmWorks }),
    );
    assert.equal(message, 'cannot start the VM with accelerator "tcg": QEMU exited with 2: as tcg');
    assert.equal(
      tiny.log.find((line) => line.startsWith("the VM runs on")),
      "the VM runs on software emulation, as KVM failed: " +
        'cannot start the VM with accelerator "kvm": QEMU exited with 1: no MSR 0x10a',
    );
  }));

Deno.test("kvm asked for is not replaced by anything", () =>
  withTinyVm(async (tiny) => {
    const hypervisorPath = fakeQemu(tiny, "echo no; exit 1");
    assert.equal(
      await failureOf(tiny, { hypervisorPath, accelerator: "kvm" }, createQemu({ kvm: kvmWorks })),
      'cannot start the VM with accelerator "kvm": QEMU exited with 1: no',
    );
    assert.equal(
      await failureOf(tiny, { accelerator: "kvm" }, createQemu({ kvm: noKvm })),
      'cannot run the VM with accelerator "kvm": there is no /dev/kvm',
    );
  }));

Deno.test("an agent transport that was named and does not work is an error, not another transport", () =>
  withTinyVm(async (tiny) => {
    const agentTransport = "vhost-user-vsock";
    assert.match(
      await failureOf(tiny, { agentTransport, vhostUserVsockPath: "/nonexistent/device" }),
      /\/nonexistent\/device/,
    );
    assert.match(
      await failureOf(tiny, { agentTransport, vhostUserVsockPath: "/bin/true" }),
      /^the vsock device's program exited with 0$/,
    );
  }));

Deno.test("a run folder whose path is too long for a socket is an error that says so", () =>
  withTinyVm(async (tiny) => {
    const dir = `${tiny.folder}/${"x".repeat(100)}`;
    Deno.mkdirSync(dir);
    assert.match(await failureOf(tiny, { dir }), /a unix socket's path must have 1 to 107 bytes/);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("more processors than the machine can have are refused", () =>
  withTinyVm(async (tiny) => {
    assert.equal(
      await failureOf(tiny, { vcpus: 2 }),
      "a VM must have 1 to 1 processors: 2 are asked for",
    );
  }));

Deno.test("network devices are behind taps that end with the VM", () =>
  withTinyVm(async ({ config }) => {
    using space = new TestNamespace();
    const names = async () => (await space.json("ip link")).map(({ ifname }) => ifname);
    using taps = new DisposableStack();
    const nics = [1, 2].map((queues): Nic => {
      const id = `net${queues}`;
      const opened: OwnedFd[] = openTap({ name: id, queues, namespace: space.fd, exclusive: true });
      for (const tap of opened) taps.use(tap);
      const fds = opened.map(({ fd }) => fd);
      return { id, mac: `02:00:00:00:00:0${queues}`, backend: { kind: "tap", fds, vhostFds: [] } };
    });
    await using vm = await qemu.start({ ...config, nics, netns: space.path });
    taps.dispose();
    assert.deepEqual(await names(), ["lo", "net1", "net2"]);
    assert.equal(Deno.readLinkSync(`/proc/${vm.pid}/ns/net`), Deno.readLinkSync(space.path));
    await vm.stop();
    assert.deepEqual(await names(), ["lo"]);
  }));
