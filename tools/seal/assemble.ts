/**
 * Turns the entry points' sources into the bytes that `entry_*.ts` carry, so that a build needs no assembler.
 *
 * `deno run -A tools/seal/assemble.ts` rewrites both files; a test compares them with a fresh assembly.
 *
 * @module
 */

import { type Architecture, MACHINE } from "../../guest/elf.ts";
import { run } from "../process.ts";

/** Prefix of the binutils that produce code for an architecture, as Debian names them. */
const BINUTILS: Record<Architecture, string> = {
  x86_64: "x86_64-linux-gnu-",
  aarch64: "aarch64-linux-gnu-",
};

/** Source of an architecture's entry point. */
function sourceOf(arch: Architecture): URL {
  return new URL(`entry_${arch}.S`, import.meta.url);
}

/**
 * Assembles one entry point with the system's preprocessor and the architecture's assembler.
 *
 * @throws when a tool is missing or fails, or when the code would need relocating
 */
export async function assemble(arch: Architecture): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir({ prefix: "kata-entry-" });
  try {
    const [plain, object, binary] = ["s", "o", "bin"].map((ext) => `${folder}/entry.${ext}`) as [
      string,
      string,
      string,
    ];
    const prefix = BINUTILS[arch];
    await run(["gcc", "-E", "-P", "-x", "assembler-with-cpp", "-o", plain, sourceOf(arch).pathname]);
    await run([`${prefix}as`, "-o", object, plain]);
    const relocations = await run([`${prefix}readelf`, "-r", object]);
    if (!relocations.includes("no relocations")) {
      throw new Error(`entry point for ${arch} is not position-independent: ${relocations.trim()}`);
    }
    await run([`${prefix}objcopy`, "-O", "binary", "-j", ".text", object, binary]);
    return await Deno.readFile(binary);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The text of an `entry_*.ts` file. */
function moduleOf(arch: Architecture, code: Uint8Array): string {
  const hex = Array.from(code, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const lines = hex.match(/.{1,96}/g) ?? [];
  return `/**
 * Machine code of \`entry_${arch}.S\`, as hexadecimal digits. Written by \`tools/seal/assemble.ts\`.
 *
 * @module
 */

export const ENTRY_${arch.toUpperCase()}: string = [
${lines.map((line) => `  "${line}",`).join("\n")}
].join("");
`;
}

if (import.meta.main) {
  for (const arch of Object.keys(MACHINE) as Architecture[]) {
    const code = await assemble(arch);
    await Deno.writeTextFile(new URL(`entry_${arch}.ts`, import.meta.url), moduleOf(arch, code));
    console.log(`tools/seal/entry_${arch}.ts: ${code.length} bytes of code`);
  }
}
