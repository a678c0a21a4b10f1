/** Compressed data that is broken or of a kind that is not supported; the message says which. */
export class DecompressError extends Error {
  override readonly name = "DecompressError";
}
