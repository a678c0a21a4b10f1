/**
 * Small kernels and modules for tests, made by the machine's compiler.
 *
 * @module
 */

import { run } from "../../tools/process.ts";

/** Makes an object file or program from C text. */
async function compile(source: string, flags: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir({ prefix: "kata-sample-" });
  try {
    await Deno.writeTextFile(`${folder}/sample.c`, source);
    await run(["gcc", "-O1", ...flags, "-o", `${folder}/sample`, `${folder}/sample.c`]);
    return await Deno.readFile(`${folder}/sample`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A kernel by its outer signs: a static ELF program with a banner, and the note for direct boot if asked for. */
export async function sampleKernel(release: string, directBoot = true): Promise<Uint8Array<ArrayBuffer>> {
  const note = `
    __attribute__((section(".note.Xen"), aligned(4), used))
    static const struct { unsigned nameSize, size, type; char name[4]; unsigned entry; } note =
      { 4, 4, 18, "Xen", 0x1000000 };`;
  const source = `
    const char format[] = "Linux version %s (%s)";
    const char banner[] = "Linux version ${release} (someone@somewhere) #1 SMP";
    char room[9 * 4096] __attribute__((section(".room"))) = { 1 };
    ${directBoot ? note : ""}
    void _start(void) { for (;;) ; }`;
  return await compile(source, ["-static", "-nostdlib", "-no-pie", "-Wl,--build-id=none"]);
}

/** What a module says about itself. */
export interface SampleModule {
  depends?: string;
  softdep?: string;
  release: string;
}

/** A module by its outer signs: an object file with module information. */
export async function sampleModule(module: SampleModule): Promise<Uint8Array<ArrayBuffer>> {
  const info = [
    "license=GPL",
    `depends=${module.depends ?? ""}`,
    ...(module.softdep === undefined ? [] : [`softdep=${module.softdep}`]),
    `vermagic=${module.release} SMP preempt mod_unload`,
  ];
  const fields = info.map((text, i) =>
    `__attribute__((section(".modinfo"), used, aligned(1))) static const char info${i}[] = ${
      JSON.stringify(text)
    };`
  );
  return await compile(fields.join("\n"), ["-c"]);
}

/** Wraps a compressed kernel as a build of the kernel does: set-up header, code, payload. */
export function bzImage(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const [sectors, payloadOffset] = [3, 0x123];
  const start = (sectors + 1) * 512 + payloadOffset;
  const image = new Uint8Array(start + payload.length + 1000);
  const view = new DataView(image.buffer);
  image[0x1f1] = sectors;
  image.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, 0x20f, true);
  view.setUint32(0x248, payloadOffset, true);
  view.setUint32(0x24c, payload.length, true);
  image.set(payload, start);
  return image;
}

/** Runs a program over bytes and returns what it writes. */
export async function filter(
  argv: readonly string[],
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const [program = "", ...args] = argv;
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const [output] = await Promise.all([child.output(), new Blob([bytes]).stream().pipeTo(child.stdin)]);
  if (!output.success) throw new Error(`"${argv.join(" ")}": ${new TextDecoder().decode(output.stderr)}`);
  return output.stdout;
}

/** Bytes one after the other. */
export async function concat(...parts: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** A folder for a test, removed after it. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "kata-guest-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
