/**
 * A machine as somebody sets it up by hand who wants to share a folder with it: QEMU, virtiofsd, the same kernel, a shell
 * as its only program; nothing of this product but its kernel modules, and the flags of an emulated processor.
 *
 * @module
 */

import { flavorOf } from "../../fs/virtiofsd_args.ts";
import { encodeCpio } from "../../guest/cpio.ts";
import { collectModules } from "../../guest/modules.ts";
import { kernelFiles } from "../../tools/guest.ts";
import { run, which } from "../../tools/process.ts";
import type { Accelerator } from "../../vm/vmm.ts";

/** What the machine is made of. */
export interface HandOptions {
  /** for files of its own */
  readonly folder: string;
  /** its `rootfs` is the root of what runs, and its `data` is `/data` there */
  readonly shared: string;
  /** processors that the machine could grow to: kernel and emulator are faster where one is all there will be */
  readonly maxVcpus: number;
  readonly memoryMiB: number;
  readonly accelerator: Accelerator;
  /** cache mode of virtiofsd */
  readonly cache: string;
}

const DRIVERS = ["virtio_pci", "virtiofs"].map((name) => ({ name, purpose: "a machine by hand" }));

/** Runs commands that come over the serial line, and answers each with its status. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
mount -t virtiofs shared /shared
mount --bind /shared/data /shared/rootfs/data
mount -t proc proc /shared/rootfs/proc
mount -t devtmpfs dev /shared/rootfs/dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
echo "by hand: ready"
while read -r line; do
  chroot /shared/rootfs /bin/sh -c "$line"
  echo "by hand: $?"
done
`;

/** A running machine. */
export class MachineByHand implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[];
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(daemon: Deno.ChildProcess, qemu: Deno.ChildProcess) {
    this.#children = [daemon, qemu];
    this.#input = qemu.stdin.getWriter();
    this.#output = qemu.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Boots it until it takes commands. */
  static async boot(options: HandOptions): Promise<MachineByHand> {
    const socket = `${options.folder}/by-hand.sock`;
    const { kernel, modules } = await kernelFiles();
    const initrd = `${options.folder}/by-hand.img`;
    await Deno.writeFile(initrd, await initrdOf(modules));
    const daemon = await startDaemon(options, socket);
    const args = [
      ...[
        "-machine",
        "q35,memory-backend=memory",
        "-smp",
        `1,maxcpus=${options.maxVcpus}`,
        "-m",
        `${options.memoryMiB}M`,
      ],
      ...["-object", `memory-backend-memfd,id=memory,size=${options.memoryMiB}M,share=on`],
      ...options.accelerator === "kvm"
        ? ["-accel", "kvm", "-cpu", "host"]
        : ["-accel", "tcg,thread=multi", "-cpu", "max,erms=off,fsrm=off,pku=off,la57=off"],
      ...["-chardev", `socket,id=fs,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=fs,tag=shared"],
      ...["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1"],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"],
    ];
    const qemu = new Deno.Command("qemu-system-x86_64", {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const machine = new MachineByHand(daemon, qemu);
    await machine.#answer();
    return machine;
  }

  /** Runs a shell command to its end. @throws {Error} it failed, with what it wrote */
  async run(command: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${command}\n`));
    const [said, status] = await this.#answer();
    if (status !== "0") throw new Error(`"${command}" ended with ${status}: ${said}`);
  }

  /** What it wrote before its next answer, and the answer. */
  async #answer(): Promise<[said: string, answer: string]> {
    for (;;) {
      const match = /^by hand: (\S+)\r?\n/m.exec(this.#text);
      if (match?.[1] !== undefined) {
        const said = this.#text.slice(0, match.index);
        this.#text = this.#text.slice(match.index + match[0].length);
        return [said, match[1]];
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Error(`the machine by hand has ended: ${this.#text}`);
      this.#text += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // the daemon ends with the machine
      }
    }
    await Promise.all(this.#children.map((child) => child.status));
    await this.#input.close().catch(() => {});
    await this.#output.cancel();
  }
}

async function initrdOf(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const busybox = await which("busybox");
  if (busybox === undefined) throw new Error("busybox is not installed: apt-get install busybox-static");
  const { modules } = await collectModules(folder, DRIVERS);
  return encodeCpio([
    ...["bin", "dev", "modules", "proc", "shared"].map((path) => ({ kind: "directory", path }) as const),
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", mode: 0o755, data: await Deno.readFile(busybox) },
    { kind: "file", path: "init", mode: 0o755, data: new TextEncoder().encode(INIT) },
    ...modules.map(({ name, data }, index) => ({
      kind: "file" as const,
      path: `modules/${String(index).padStart(2, "0")}-${name}.ko`,
      mode: 0o644,
      data,
    })),
  ]);
}

const DAEMONS = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];

async function startDaemon({ shared, cache }: HandOptions, socket: string): Promise<Deno.ChildProcess> {
  const found = await Promise.all(DAEMONS.map((path) => Deno.stat(path).then(() => path, () => undefined)));
  const path = found.find((one) => one !== undefined) ?? "virtiofsd";
  const args = flavorOf(await run([path, "--version"])) === "c"
    ? [`--socket-path=${socket}`, "-f", "-o", `source=${shared}`, "-o", `cache=${cache}`]
    : [`--socket-path=${socket}`, `--shared-dir=${shared}`, `--cache=${cache}`];
  const daemon = new Deno.Command(path, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  while (!await Deno.stat(socket).then(() => true, () => false)) await new Promise((r) => setTimeout(r, 20));
  return daemon;
}
