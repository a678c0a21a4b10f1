import assert from "node:assert/strict";
import fc from "fast-check";
import { withoutSignature } from "./module_signature.ts";

/** What `sign-file` of the kernel puts behind a module: no signer and no key id in its present form. */
function signed(module: Uint8Array, signature: Uint8Array, signer = 0, keyId = 0): Uint8Array<ArrayBuffer> {
  const trailer = new Uint8Array([0, 0, 2, signer, keyId, 0, 0, 0, 0, 0, 0, 0]);
  new DataView(trailer.buffer).setUint32(8, signature.length - signer - keyId);
  const magic = new TextEncoder().encode("~Module signature appended~\n");
  const parts = [module, signature, trailer, magic];
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

Deno.test("a signed module loses its signature and nothing else", () => {
  const bytes = fc.uint8Array({ maxLength: 2000 });
  fc.assert(fc.property(bytes, bytes, (module, signature) => {
    assert.deepEqual(withoutSignature(signed(module, signature)), new Uint8Array(module));
  }));
});

Deno.test("the signer's name and the key's id belong to the signature", () => {
  const module = new Uint8Array([1, 2, 3]);
  assert.deepEqual(withoutSignature(signed(module, new Uint8Array(50), 10, 20)), module);
});

Deno.test("a module without a signature stays as it is", () => {
  const module = new TextEncoder().encode("\x7fELF and so on, signature appended~\n");
  assert.equal(withoutSignature(module), module);
  assert.equal(withoutSignature(new Uint8Array()).length, 0);
});

Deno.test("a signature that claims to be longer than the file is left to the kernel", () => {
  const broken = signed(new Uint8Array(3), new Uint8Array(5));
  new DataView(broken.buffer).setUint32(broken.length - 28 - 4, 1 << 30);
  assert.equal(withoutSignature(broken), broken);
});
