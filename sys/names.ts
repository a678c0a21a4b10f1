/**
 * Names of files as text. The kernel's are bytes, whatever they mean; nearly all are UTF-8. A byte that is not has a
 * lone surrogate in its place, U+DC80 for 0x80 up to U+DCFF, which no text has otherwise: nothing gets lost on the way
 * from one system call to the next.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ESCAPES = 0xdc00;
const LONGEST = 4;

/** The bytes of a name, without an end mark. */
export function encodeName(name: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(name)) return encoder.encode(name);
  const bytes: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    const isEscape = code >= ESCAPES + 0x80 && code <= ESCAPES + 0xff;
    bytes.push(...isEscape ? [code - ESCAPES] : encoder.encode(character));
  }
  return new Uint8Array(bytes);
}

/** A name that `encodeName` turns into these bytes. */
export function decodeName(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  return text.includes("\ufffd") ? decodeOdd(bytes) : text;
}

function decodeOdd(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const [character, length] = characterAt(bytes, at) ??
      [String.fromCharCode(ESCAPES + (bytes[at] ?? 0)), 1];
    text += character;
    at += length;
  }
  return text;
}

function characterAt(bytes: Uint8Array, at: number): [character: string, length: number] | undefined {
  for (let length = 1; length <= LONGEST && at + length <= bytes.length; length++) {
    try {
      return [strict.decode(bytes.subarray(at, at + length)), length];
    } catch {
      // Not a whole character, or none at all.
    }
  }
  return undefined;
}
