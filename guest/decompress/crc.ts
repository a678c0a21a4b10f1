/**
 * The checksums of the XZ format.
 *
 * @module
 */

const CRC32 = crcTable(0xedb88320, 0).low;
/** CRC-64 of ECMA-182, reflected, kept as two halves since 64-bit integers are slow here. */
const CRC64 = crcTable(0xd7870f42, 0xc96c5795);

/** CRC-32 as in zip, gzip and XZ. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC32[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** CRC-64 as in XZ, as `[low, high]` 32-bit halves. */
export function crc64(bytes: Uint8Array): [low: number, high: number] {
  let low = 0xffffffff;
  let high = 0xffffffff;
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (CRC64.low[index] as number);
    high = (high >>> 8) ^ (CRC64.high[index] as number);
  }
  return [~low >>> 0, ~high >>> 0];
}

/** Table of a reflected CRC of up to 64 bits, polynomial in halves. */
function crcTable(polynomialLow: number, polynomialHigh: number): { low: Uint32Array; high: Uint32Array } {
  const table = { low: new Uint32Array(256), high: new Uint32Array(256) };
  for (let byte = 0; byte < 256; byte++) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry) {
        low ^= polynomialLow;
        high ^= polynomialHigh;
      }
    }
    table.low[byte] = low;
    table.high[byte] = high;
  }
  return table;
}
