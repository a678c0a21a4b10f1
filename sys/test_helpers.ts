import { OwnedFd } from "./fd.ts";
import { newNetworkNamespace } from "./host.ts";
import { cstr, Pinned } from "./syscall.ts";

/** What is only used by tests. */

let spawnFunction: ((...args: (bigint | Uint8Array<ArrayBuffer>)[]) => number) | undefined;

/** A pinned, NULL-terminated array of C strings. The second value keeps the memory alive. */
function stringArray(list: readonly string[]): [address: bigint, memory: Pinned[]] {
  const strings = list.map((text) => {
    const bytes = cstr(text);
    const memory = new Pinned(bytes.length);
    memory.bytes.set(bytes);
    return memory;
  });
  const array = new Pinned((list.length + 1) * 8);
  strings.forEach((memory, i) => array.view.setBigUint64(i * 8, memory.address, true));
  return [array.address, [array, ...strings]];
}

/** Starts a child that nobody waits for, by the C library alone. @returns its pid */
export function startRaw(argv: readonly string[]): number {
  spawnFunction ??= Deno.dlopen("libc.so.6", {
    posix_spawnp: { parameters: ["buffer", "buffer", "u64", "u64", "u64", "u64"], result: "i32" },
  }).symbols.posix_spawnp as unknown as typeof spawnFunction;
  const pid = new Int32Array(1);
  const [arguments_, memory] = stringArray(argv);
  const [environment, more] = stringArray(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]);
  const file = cstr(argv[0] ?? "") as Uint8Array<ArrayBuffer>;
  const error = spawnFunction?.(new Uint8Array(pid.buffer), file, 0n, 0n, arguments_, environment);
  if (error !== 0 || memory.length + more.length === 0) throw new Error(`posix_spawnp ${argv[0]}: ${error}`);
  return pid[0] ?? -1;
}

/** Runs a program to its end and fails with its output if it does not exit with 0. @returns its standard output */
export async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(`${command} ${args.join(" ")}:\n${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  }
  return decoder.decode(stdout);
}

/** Runs a module of this folder's `testdata` in a process of its own, by way of a command such as `unshare --net`. */
export function runModule(name: string, prefix: readonly string[] = []): Promise<string> {
  const path = new URL(`./testdata/${name}`, import.meta.url).pathname;
  const [command = "", ...args] = [...prefix, Deno.execPath(), "run", "--allow-all", "--no-check", path];
  return run(command, args);
}

/** A folder that is removed at the end of its block. */
export function tempDir(): Disposable & { readonly path: string } {
  const path = Deno.makeTempDirSync({ prefix: "kata-test-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Random bytes of any length. */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

export const encode = (text: string) => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A network namespace with nothing in it; it is gone at the end of its block. */
export class TestNamespace implements Disposable {
  readonly #fd = new OwnedFd(newNetworkNamespace());

  /** A descriptor of it. */
  get fd(): number {
    return this.#fd.fd;
  }

  /** A path to it, for every process. */
  get path(): string {
    return `/proc/${Deno.pid}/fd/${this.fd}`;
  }

  /** Runs a program in it. @returns its standard output */
  run(command: string, ...args: readonly string[]): Promise<string> {
    return run("nsenter", [`--net=${this.path}`, command, ...args]);
  }

  /** Runs `ip` in it: each text is one command. */
  async ip(...commands: readonly string[]): Promise<void> {
    for (const command of commands) await this.run("ip", ...command.split(" "));
  }

  /** What `ip -json` or `tc -json` tells. */
  async json(command: string): Promise<Record<string, unknown>[]> {
    const [program = "", ...args] = command.split(" ");
    const text = await this.run(program, "-json", ...args);
    return text.trim() === "" ? [] : JSON.parse(text);
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }
}
