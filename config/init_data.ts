/** Init data of a guest: what its owner, and not its host, has it configured with. */

import { parse } from "smol-toml";
import { BadValue, oneOf } from "./key.ts";

/** A document of init data, unpacked. */
export interface InitData {
  /** As it was handed over: compressed by gzip. */
  readonly compressed: Uint8Array;
  /** Of the document, by the algorithm that it names: what ties it to a confidential guest's measurement. */
  readonly digest: Uint8Array;
}

/** What digests are made by, and what the document calls it. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512",
};

/** Most bytes of a document: some compress to next to nothing. */
const MAX_BYTES = 4_194_304;

/**
 * Unpacks init data.
 *
 * @param encoded base64 of a compressed TOML document
 * @throws {BadValue} what it must be
 */
export async function readInitData(encoded: string): Promise<InitData> {
  const compressed = decode(encoded);
  const document = await unpack(compressed);
  const algorithm = algorithmOf(document);
  return { compressed, digest: new Uint8Array(await crypto.subtle.digest(algorithm, document)) };
}

function decode(encoded: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(encoded);
  } catch {
    throw new BadValue("must be in base64");
  }
}

async function unpack(compressed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  try {
    const plain = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
    for await (const chunk of plain) {
      length += chunk.length;
      if (length > MAX_BYTES) throw new BadValue(`must have at most ${MAX_BYTES} bytes when it is unpacked`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof BadValue) throw error;
    throw new BadValue("must be compressed by gzip");
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** @returns its name for the engine */
function algorithmOf(document: Uint8Array): string {
  let tables: Readonly<Record<string, unknown>>;
  try {
    tables = parse(new TextDecoder("utf-8", { fatal: true }).decode(document));
  } catch (error) {
    throw new BadValue(
      `must be a TOML document: ${error instanceof Error ? error.message.split("\n")[0] : error}`,
    );
  }
  const { algorithm, data = {} } = tables;
  if (
    typeof data !== "object" || data === null ||
    !Object.values(data).every((text) => typeof text === "string")
  ) {
    throw new BadValue("must have a table [data] of strings only");
  }
  const found = Object.hasOwn(ALGORITHMS, String(algorithm)) ? ALGORITHMS[String(algorithm)] : undefined;
  if (typeof algorithm === "string" && found !== undefined) return found;
  const given = algorithm === undefined ? "it has none" : `it is ${JSON.stringify(String(algorithm))}`;
  throw new BadValue(`must have an algorithm, which is ${oneOf(Object.keys(ALGORITHMS))}: ${given}`);
}
