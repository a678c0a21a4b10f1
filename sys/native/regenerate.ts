/**
 * Assembles the native loop and writes its bytes to code.ts: `deno run -A sys/native/regenerate.ts`.
 *
 * Needs GNU as and objcopy for both architectures (Debian: binutils, binutils-x86-64-linux-gnu,
 * binutils-aarch64-linux-gnu), which are needed only here and in the test that compares code.ts with the sources.
 */

import type { CODE } from "./code.ts";

/** The architectures that there is a loop for; also the names of the sources. */
export type Architecture = keyof typeof CODE;

/** The machine code of the loop's source, as plain bytes without an ELF file around them. */
export async function assemble(arch: Architecture): Promise<Uint8Array> {
  return await assembleText(arch, await Deno.readTextFile(new URL(`./${arch}.S`, import.meta.url)));
}

/** The machine code of assembly text. */
export async function assembleText(arch: Architecture, text: string): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "native-loop-" });
  const [source, object, binary] = [`${folder}/loop.s`, `${folder}/loop.o`, `${folder}/loop.bin`];
  try {
    await Deno.writeTextFile(source, text);
    await runTool(`${arch}-linux-gnu-as`, ["-o", object, source]);
    await runTool(`${arch}-linux-gnu-objcopy`, ["-O", "binary", "-j", ".text", object, binary]);
    return await Deno.readFile(binary);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a tool of the build machine, and throws what it said if it fails. */
async function runTool(tool: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(tool, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${tool} failed: ${new TextDecoder().decode(stderr).trim()}`);
}

function sourceOf(codes: Record<Architecture, Uint8Array>): string {
  const constants = Object.entries(codes).map(([arch, bytes]) => {
    const lines = bytes.toBase64().match(/.{1,100}/g) ?? [];
    return `  ${arch}: [\n${lines.map((line) => `    "${line}",\n`).join("")}  ],\n`;
  });
  return `// Written by regenerate.ts from x86_64.S and aarch64.S; a test compares them.

import { arch } from "../syscall.ts";

/** The native loop as machine code, base64 in lines. */
export const CODE = {
${constants.join("")}} as const;

/** The native loop of the running architecture. */
export function code(): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(CODE[arch].join(""));
}
`;
}

if (import.meta.main) {
  const codes = { x86_64: await assemble("x86_64"), aarch64: await assemble("aarch64") };
  await Deno.writeTextFile(new URL("./code.ts", import.meta.url), sourceOf(codes));
}
