/**
 * The XZ format's filter for x86 code.
 *
 * Before compression the targets of near calls and jumps (opcodes E8 and E9) were made absolute, so that
 * calls of one function look alike. This makes them relative again.
 *
 * @module
 */

/** Filter works on targets within ±16 MiB: their top byte is all zeros or all ones. */
function isSignByte(byte: number): boolean {
  return byte === 0x00 || byte === 0xff;
}

/**
 * For each pattern of opcode bytes among the last three (bit 0 is the nearest): how many bytes of the target
 * could belong to one of them. `undefined`: the pattern itself rules a target out.
 */
const OVERLAP: readonly (number | undefined)[] = [0, 1, 2, undefined, 3, undefined, undefined, undefined];

/**
 * Decodes in place.
 *
 * @param from position of the first byte in the stream, as the encoder counted
 */
export function decodeX86(bytes: Uint8Array, from: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // which of the last three bytes were opcodes that took no target
  let recent = 0;
  for (let i = 0; i + 4 < bytes.length; i++) {
    const opcode = bytes[i] as number;
    if ((opcode & 0xfe) !== 0xe8) {
      recent = (recent << 1) & 7;
      continue;
    }
    const overlap = OVERLAP[recent];
    const plausible = overlap !== undefined &&
      isSignByte(bytes[i + 4] as number) &&
      (overlap === 0 || !isSignByte(bytes[i + 4 - overlap] as number));
    if (!plausible) {
      recent = ((recent << 1) | 1) & 7;
      continue;
    }
    view.setUint32(i + 1, relative(view.getUint32(i + 1, true), from + i + 5, overlap), true);
    i += 4;
    recent = 0;
  }
}

/** The relative target for an absolute one, as seen from the instruction's end. */
function relative(absolute: number, end: number, overlap: number): number {
  let source = absolute;
  let target = (source - end) >>> 0;
  if (overlap > 0) {
    const shift = 24 - overlap * 8;
    const mask = 2 ** (32 - overlap * 8) - 1;
    // the encoder avoided results whose overlapped byte looks like a sign; follow it through
    while (isSignByte((target >>> shift) & 0xff)) {
      source = (target ^ mask) >>> 0;
      target = (source - end) >>> 0;
    }
  }
  // sign-extend from bit 24
  return (target & 0x1000000) !== 0 ? (target | 0xfe000000) >>> 0 : target & 0x01ffffff;
}
