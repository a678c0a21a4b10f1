import assert from "node:assert/strict";
import { parse } from "smol-toml";
import { loadConfig } from "../../../config/load.ts";
import { cpuinfo, type Machine, makeMachine } from "../check/testing/machine.ts";
import { versionOf } from "./env.ts";
import { envJson, envToml } from "./print.ts";
import { envTree, type Tree } from "./tree.ts";

/** Keys and types in their order: s, n, b are a string, number, boolean; [s] a list of strings or null. */
const REFERENCE = `
Kernel.Path s
Kernel.Parameters s
Meta.Version s
Image.Path s
Initrd.Path s
Hypervisor.MachineType s
Hypervisor.Version s
Hypervisor.Path s
Hypervisor.BlockDeviceDriver s
Hypervisor.EntropySource s
Hypervisor.SharedFS s
Hypervisor.VirtioFSDaemon s
Hypervisor.SocketPath s
Hypervisor.Msize9p n
Hypervisor.MemorySlots n
Hypervisor.HotPlugVFIO s
Hypervisor.ColdPlugVFIO s
Hypervisor.PCIeRootPort n
Hypervisor.PCIeSwitchPort n
Hypervisor.Debug b
Hypervisor.SecurityInfo.Rootless b
Hypervisor.SecurityInfo.DisableSeccomp b
Hypervisor.SecurityInfo.GuestHookPath s
Hypervisor.SecurityInfo.EnableAnnotations [s]
Hypervisor.SecurityInfo.ConfidentialGuest b
Runtime.Config.Path s
Runtime.Path s
Runtime.GuestSeLinuxLabel s
Runtime.Experimental [s]
Runtime.Version.OCI s
Runtime.Version.Version.Semver s
Runtime.Version.Version.Commit s
Runtime.Version.Version.Major n
Runtime.Version.Version.Minor n
Runtime.Version.Version.Patch n
Runtime.Debug b
Runtime.Trace b
Runtime.DisableGuestSeccomp b
Runtime.DisableNewNetNs b
Runtime.SandboxCgroupOnly b
Host.AvailableGuestProtections [s]
Host.Kernel s
Host.Architecture s
Host.Distro.Name s
Host.Distro.Version s
Host.CPU.Vendor s
Host.CPU.Model s
Host.CPU.CPUs n
Host.Memory.Total n
Host.Memory.Free n
Host.Memory.Available n
Host.VMContainerCapable b
Host.SupportVSocks b
Agent.Debug b
Agent.Trace b`.trim().split("\n");

/** The same of a tree. */
function shape(tree: Tree, prefix = ""): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (value === null || Array.isArray(value)) return [`${prefix}${key} [s]`];
    if (typeof value === "object") return shape(value as Tree, `${prefix}${key}.`);
    return [`${prefix}${key} ${typeof value === "string" ? "s" : typeof value === "number" ? "n" : "b"}`];
  });
}

const MEMINFO = "MemTotal:       1000 kB\nMemFree:         300 kB\nMemAvailable:    600 kB\n";

/** The tree of a machine with a configuration. */
async function treeOf(
  machine: Machine,
  configuration: string,
  version = "Monitor 1\nCopyright",
): Promise<Tree> {
  const folder = Deno.makeTempDirSync();
  try {
    for (const name of ["vmlinux", "initrd", "daemon"]) Deno.writeTextFileSync(`${folder}/${name}`, "x");
    Deno.writeTextFileSync(
      `${folder}/c.toml`,
      `[hypervisor.qemu]\npath = "/bin/sh"\nkernel = "vmlinux"\ninitrd = "initrd"\nvirtio_fs_daemon = "daemon"\n${configuration}`,
    );
    return envTree({
      host: makeMachine(folder, machine),
      loaded: await loadConfig({ explicit: `${folder}/c.toml` }),
      executable: "/usr/bin/kata",
      agentParams: ["agent.log=debug"],
      hypervisorVersion: version,
      capable: true,
      cpus: 4,
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const INTEL: Machine = {
  files: {
    "/proc/cpuinfo": cpuinfo("GenuineIntel", "vmx"),
    "/proc/meminfo": MEMINFO,
    "/proc/version": "Linux version 6.1.0-9-amd64 (builder)",
    "/etc/os-release": 'PRETTY_NAME="Debian 12"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
    "/sys/module/kvm_intel/parameters/tdx": "Y\n",
    "/dev/vhost-vsock": "",
  },
};

Deno.test("the tree has the keys, their order and their types", async () => {
  assert.deepEqual(shape(await treeOf(INTEL, "")), REFERENCE);
});

Deno.test("values come from the configuration and from the machine", async () => {
  const tree = await treeOf(
    INTEL,
    'kernel_params = "a=b c"\nenable_annotations = ["x", "y<"]\nmsize_9p = 4096\nenable_debug = true\n[agent.kata]\nenable_debug = true\n',
  );
  const { Kernel, Host, Hypervisor, Agent } = tree as Record<string, Tree>;
  assert.equal(Kernel?.Parameters, "agent.log=debug a=b c");
  assert.equal(Agent?.Debug, true);
  assert.deepEqual([Hypervisor?.Msize9p, Hypervisor?.Debug, Hypervisor?.SocketPath], [4096, true, ""]);
  assert.deepEqual(Host, {
    AvailableGuestProtections: ["tdx"],
    Kernel: "6.1.0-9-amd64",
    Architecture: "amd64",
    Distro: { Name: "Debian GNU/Linux", Version: "12" },
    CPU: { Vendor: "GenuineIntel", Model: "Some CPU", CPUs: 4 },
    Memory: { Total: 1000, Free: 300, Available: 600 },
    VMContainerCapable: true,
    SupportVSocks: true,
  });
});

Deno.test("arm64, users, and machines that tell little", async () => {
  const arm = await treeOf({
    arch: "arm64",
    uid: 1000,
    files: {
      "/proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\n\n",
      "/usr/lib/os-release": "NAME=Fedora\nVERSION_ID=42\n",
    },
  }, "");
  const { Host, Hypervisor } = arm as Record<string, Tree>;
  assert.deepEqual(Host?.CPU, { Vendor: "ARM Limited", Model: "v8", CPUs: 4 });
  assert.deepEqual(Host.Distro, { Name: "Fedora", Version: "42" });
  assert.equal(Host.AvailableGuestProtections, null);
  assert.equal(Hypervisor?.SocketPath, "<<unknown>>");
  const bare = await treeOf({ files: {} }, "");
  const unknown = (bare as Record<string, Tree>).Host;
  assert.deepEqual([unknown?.Kernel, unknown?.Distro], ["<<unknown>>", {
    Name: "<<unknown>>",
    Version: "<<unknown>>",
  }]);
});

Deno.test("TOML says the same as JSON, but for what is empty", async () => {
  const tree = await treeOf(INTEL, 'enable_annotations = ["x", "y<"]\n', 'Monitor "1"\nCopy\tright \x7f <c>');
  const json = envJson(tree);
  assert.ok(json.endsWith("}\n") && json.startsWith('{\n  "Kernel": {\n    "Path"'));
  assert.ok(!/[<>&]/.test(json), "what would be markup is escaped");
  assert.deepEqual(JSON.parse(json), tree);
  const toml = envToml(tree);
  const withoutNulls = JSON.parse(json, (_, value) => value === null ? undefined : value);
  assert.deepEqual(JSON.parse(JSON.stringify(parse(toml))), withoutNulls);
  assert.ok(toml.includes('  EnableAnnotations = ["x", "y<"]\n'.replace("  ", "    ")));
  assert.match(toml, /^\[Kernel\]\n {2}Path = /);
  assert.match(toml, /\n\n\[Meta\]\n/);
  assert.match(
    toml,
    /\n {2}\[Runtime\.Version\]\n {4}OCI = "1\.\d+\.\d+"\n {4}\[Runtime\.Version\.Version\]\n {6}Semver = /,
  );
});

Deno.test("a monitor that does not report its version is no failure", async () => {
  assert.equal(await versionOf("/bin/false"), undefined);
  assert.equal(await versionOf("/does/not/exist"), undefined);
  assert.match(await versionOf("/usr/bin/env") ?? "", /^env \(/);
});
