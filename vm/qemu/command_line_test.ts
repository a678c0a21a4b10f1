import assert from "node:assert/strict";
import type { VmConfig } from "../vmm.ts";
import { buildCommandLine, type CommandLineInput } from "./command_line.ts";

const CONFIG: VmConfig = {
  id: "sandbox1",
  dir: "/run/vc/vm/sandbox1",
  hypervisorPath: "qemu-system-x86_64",
  accelerator: "auto",
  machineType: "q35",
  cpuFeatures: "pmu=off",
  kernel: "/assets/vmlinux",
  initrd: "/assets/kata-initrd.img",
  kernelParams: ["user.param=1"],
  agentParams: ["agent.log=debug"],
  vcpus: 1,
  maxVcpus: 2,
  memoryMiB: 2048,
  memorySlots: 10,
  maxMemoryMiB: 16_384,
  share: {
    kind: "virtio-fs",
    tag: "kataShared",
    socketPath: "/run/vc/vm/sandbox1/vhost-fs.sock",
    queueSize: 1024,
  },
  seccompSandbox: "on,obsolete=deny,spawn=deny,resourcecontrol=deny",
  entropySource: "/dev/urandom",
  debug: false,
  onConsole: () => {},
  onLog: () => {},
};

const INPUT: CommandLineInput = {
  config: CONFIG,
  arch: "x86_64",
  accelerator: "kvm",
  channel: { kind: "vsock", cid: 4711 },
  uuid: "6f2b8a3e-0000-4000-8000-000000000001",
};

/** One option per line, its value beside it, and the descriptors at the end. */
function render(input: CommandLineInput): string {
  const { args, fds } = buildCommandLine(input);
  const lines: string[] = [];
  for (const arg of args) {
    if (arg.startsWith("-") || lines.length === 0) lines.push(arg);
    else lines.push(`${lines.pop()} ${arg}`);
  }
  return [...lines, `fds from 3: ${fds.join(" ")}`, ""].join("\n");
}

/** Compares with a file beside this one; `UPDATE_GOLDEN=1` in the environment writes it. */
function golden(name: string, input: CommandLineInput): void {
  const file = new URL(`./testdata/${name}.txt`, import.meta.url);
  if (Deno.env.get("UPDATE_GOLDEN")) Deno.writeTextFileSync(file, render(input));
  assert.equal(render(input), Deno.readTextFileSync(file));
}

Deno.test("a disk in the initrd's file: QEMU reads it there, and inherits what is left of the file", () => {
  const config = { ...CONFIG, initrd: "/a,b/initrd.img" };
  const input = { ...INPUT, config, initrdDisk: { offset: 4096, size: 8192 } };
  const { args, fds } = buildCommandLine(input);
  const after = (option: string) => args.filter((_, i) => args[i - 1] === option);
  assert.deepEqual(after("-blockdev"), [
    "driver=raw,node-name=initrd-0,read-only=on,offset=4096,size=8192," +
    "file.driver=file,file.filename=/a,,b/initrd.img,file.aio=threads,file.locking=off",
  ]);
  assert.ok(after("-device").includes("virtio-blk-pci,drive=initrd-0,config-wce=off,share-rw=on"));
  assert.deepEqual(after("-initrd"), [`/proc/self/fd/${3 + fds.indexOf("initrd")}`]);
});

Deno.test("buildCommandLine() with KVM, vsock and virtio-fs", () => golden("kvm_vsock_virtiofs", INPUT));

Deno.test("buildCommandLine() in software, with a serial port and 9p", () =>
  golden("tcg_serial_9p", {
    ...INPUT,
    accelerator: "tcg",
    channel: { kind: "virtio-serial" },
    config: { ...CONFIG, share: { kind: "9p", tag: "kataShared", path: "/run/shared" }, debug: true },
  }));

Deno.test("buildCommandLine() with vhost-user-vsock and memory in files", () =>
  golden("tcg_vhost_user_file_memory", {
    ...INPUT,
    accelerator: "tcg",
    channel: { kind: "vhost-user-vsock", socketPath: "/run/vc/vm/sandbox1/vhost-vsock.sock" },
    config: {
      ...CONFIG,
      share: { kind: "none" },
      fileMemBackend: "/dev/shm",
      machineAccelerators: "pit=off",
    },
  }));

Deno.test("buildCommandLine() on arm64", () =>
  golden("arm64_kvm", {
    ...INPUT,
    arch: "aarch64",
    config: { ...CONFIG, machineType: "virt", cpuFeatures: undefined },
  }));

function optionOf(input: CommandLineInput, option: string, pattern: RegExp): string | undefined {
  const { args } = buildCommandLine(input);
  return args.find((arg, index) => args[index - 1] === option && pattern.test(arg));
}

Deno.test("guest memory is shared exactly where another process has to see it", () => {
  const memoryOf = (config: Partial<VmConfig>, channel: CommandLineInput["channel"]) =>
    optionOf({ ...INPUT, config: { ...CONFIG, ...config }, channel }, "-object", /^memory/);
  const vsock = { kind: "vsock", cid: 3 } as const;
  const vhostUser = { kind: "vhost-user-vsock", socketPath: "/s" } as const;
  const none = { kind: "none" } as const;
  assert.equal(memoryOf({}, vsock), "memory-backend-memfd,id=dimm1,size=2048M,share=on");
  assert.equal(memoryOf({ share: none }, vhostUser), "memory-backend-memfd,id=dimm1,size=2048M,share=on");
  assert.equal(memoryOf({ share: none }, vsock), "memory-backend-ram,id=dimm1,size=2048M");
  assert.equal(
    memoryOf({ share: none, fileMemBackend: "/big" }, vsock),
    "memory-backend-file,id=dimm1,size=2048M,mem-path=/big,share=on",
  );
});

Deno.test("memory can grow where there are slots for it, and as far as processors can address", () => {
  const size = (config: Partial<VmConfig>, accelerator: "kvm" | "tcg" = "kvm") =>
    optionOf({ ...INPUT, accelerator, config: { ...CONFIG, ...config } }, "-m", /./);
  assert.equal(size({ memorySlots: 0 }), "2048M");
  assert.equal(size({ memorySlots: undefined }), "2048M");
  assert.equal(size({ memorySlots: 3, maxMemoryMiB: 4096 }), "2048M,slots=3,maxmem=5120M");
  assert.equal(size({ maxMemoryMiB: 1000 }), "2048M,slots=10,maxmem=3072M", "never less than at boot");
  assert.equal(size({ maxMemoryMiB: 4_194_304 }), "2048M,slots=10,maxmem=4195328M");
  assert.equal(size({ maxMemoryMiB: 4_194_304 }, "tcg"), "2048M,slots=10,maxmem=524288M");
});

Deno.test("commas in names and paths do not become options", () => {
  const input: CommandLineInput = {
    ...INPUT,
    config: { ...CONFIG, share: { kind: "9p", tag: "t", path: "/a,security_model=passthrough" } },
  };
  assert.match(
    optionOf(input, "-fsdev", /./) ?? "",
    /path=\/a,,security_model=passthrough,security_model=none/,
  );
});

Deno.test("the DAX window and the system call filter are left out where they are not asked for", () => {
  const share = { kind: "virtio-fs", tag: "t", socketPath: "/s", queueSize: 128, cacheSizeMiB: 64 } as const;
  const withWindow = { ...INPUT, config: { ...CONFIG, share } };
  assert.match(optionOf(withWindow, "-device", /^vhost-user-fs/) ?? "", /,cache-size=64M$/);
  assert.doesNotMatch(optionOf(INPUT, "-device", /^vhost-user-fs/) ?? "", /cache-size/);
  const unfiltered = { ...INPUT, config: { ...CONFIG, seccompSandbox: "" } };
  assert.equal(buildCommandLine(unfiltered).args.includes("-sandbox"), false);
});

Deno.test("an agent on a serial port gets its address, but a configured address wins", () => {
  const input: CommandLineInput = {
    ...INPUT,
    channel: { kind: "virtio-serial" },
    config: { ...CONFIG, agentParams: ["agent.server_addr=vsock://-1:1"] },
  };
  const words = (optionOf(input, "-append", /./) ?? "").split(" ").filter((word) =>
    word.startsWith("agent.")
  );
  assert.deepEqual(words, [
    "agent.server_addr=virtio-serial://agent.channel.0",
    "agent.server_addr=vsock://-1:1",
  ]);
});

Deno.test("buildCommandLine() with network devices of all kinds", () => {
  const mac = (last: number) => `02:00:00:00:00:0${last}`;
  const { args, fds } = buildCommandLine({
    ...INPUT,
    config: {
      ...CONFIG,
      share: { kind: "none" },
      nics: [
        { id: "net0", mac: mac(1), backend: { kind: "tap", fds: [20], vhostFds: [] } },
        { id: "net1", mac: mac(2), backend: { kind: "tap", fds: [21, 22], vhostFds: [23, 24] } },
        {
          id: "net2",
          mac: mac(3),
          backend: { kind: "vhost-user", socketPath: "/tmp/vhostuser_10.0.0.2/vhu.sock" },
        },
      ],
    },
  });
  const values = args.filter((_, at) => ["-netdev", "-device"].includes(args[at - 1] ?? ""));
  assert.deepEqual(values.filter((text) => text.includes("net")), [
    "tap,id=net0,fds=6",
    `virtio-net-pci,id=virtio-net0,netdev=net0,mac=${mac(1)},romfile=`,
    "tap,id=net1,fds=7:8,vhost=on,vhostfds=9:10",
    `virtio-net-pci,id=virtio-net1,netdev=net1,mac=${mac(2)},romfile=,mq=on,vectors=6`,
    "vhost-user,id=net2,chardev=char-net2",
    `virtio-net-pci,id=virtio-net2,netdev=net2,mac=${mac(3)},romfile=`,
  ]);
  assert(args.includes("socket,id=char-net2,path=/tmp/vhostuser_10.0.0.2/vhu.sock"));
  assert(args.some((arg) => arg.startsWith("memory-backend-memfd,") && arg.endsWith(",share=on")));
  assert.deepEqual(fds.slice(3), [
    "tap of net0.0",
    "tap of net1.0",
    "tap of net1.1",
    "vhost of net1.0",
    "vhost of net1.1",
  ]);
});
