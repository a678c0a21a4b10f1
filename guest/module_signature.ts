/**
 * Signatures at the end of kernel modules.
 *
 * @module
 */

/** Ends a signed module (`MODULE_SIG_STRING` of the kernel's `linux/module_signature.h`). */
const MAGIC = new TextEncoder().encode("~Module signature appended~\n");

/** Size of `struct module_signature`, which stands before the magic; its last word is the signature's length. */
const TRAILER_BYTES = 12;
const SIGNER_LENGTH_AT = 3;
const KEY_ID_LENGTH_AT = 4;
const LENGTH_AT = 8;

/**
 * The module without its signature; a module that has none, or a broken one, as it is.
 *
 * Who can change the modules in an initrd can change the kernel beside it as well, so a guest gains nothing from
 * verifying them, and pays for it with each boot: hashing and RSA are four fifths of what loading a module costs (in a
 * machine without hardware virtualisation 0.4 s of a boot). The kernel notes an unsigned module in its taint flags.
 */
export function withoutSignature(module: Uint8Array): Uint8Array {
  const trailer = module.length - MAGIC.length - TRAILER_BYTES;
  if (trailer < 0 || !MAGIC.every((byte, i) => module[trailer + TRAILER_BYTES + i] === byte)) return module;
  const view = new DataView(module.buffer, module.byteOffset + trailer, TRAILER_BYTES);
  const length = view.getUint8(SIGNER_LENGTH_AT) + view.getUint8(KEY_ID_LENGTH_AT) +
    view.getUint32(LENGTH_AT);
  return length > trailer ? module : module.subarray(0, trailer - length);
}
