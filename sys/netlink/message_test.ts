import assert from "node:assert/strict";
import fc from "fast-check";
import { frame, parseAttributes, parseMessages, Payload, text, u32 } from "./message.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("a payload is laid out as the kernel wants it", () => {
  const payload = new Payload().u8(1).u8(2).u16(0x0403).u32(0x08070605).attribute(9, "ab").attribute(
    10,
    undefined,
  )
    .nested(11, (inner) => inner.attribute(1, 7));
  assert.deepEqual(
    payload.finish(),
    // deno-fmt-ignore
    bytes(
      1, 2, 3, 4, 5, 6, 7, 8,
      7, 0, 9, 0, 97, 98, 0, 0, // 4 + 3 bytes, padded
      12, 0, 11, 0x80, 8, 0, 1, 0, 7, 0, 0, 0, // nested
    ),
  );
});

Deno.test("messages and attributes survive being written and read", () => {
  const attributes = fc.uniqueArray(
    fc.tuple(fc.integer({ min: 1, max: 500 }), fc.uint8Array({ maxLength: 300 })),
    {
      selector: ([type]) => type,
    },
  );
  const message = fc.tuple(
    fc.integer({ min: 16, max: 0xffff }),
    fc.integer({ min: 0, max: 0xffff }),
    attributes,
  );
  fc.assert(fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
    const datagram = new Payload();
    for (const [index, [type, flags, list]] of messages.entries()) {
      const payload = new Payload().u32(42);
      for (const [kind, value] of list) payload.attribute(kind, value);
      datagram.bytes(frame(type, flags, index, payload.finish()));
    }
    const parsed = [...parseMessages(datagram.finish())];
    assert.equal(parsed.length, messages.length);
    for (const [index, { type, flags, sequence, payload }] of parsed.entries()) {
      const [wantedType, wantedFlags, list] = messages[index]!;
      assert.deepEqual([type, flags, sequence], [wantedType, wantedFlags, index]);
      assert.equal(u32(payload), 42);
      const found = new Map([...parseAttributes(payload, 4)].map(([kind, value]) => [kind, [...value]]));
      assert.deepEqual(found, new Map(list.map(([kind, value]) => [kind, [...value]])));
    }
  }));
});

Deno.test("any bytes are parsed or refused, in bounded time", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (datagram) => {
    for (const parse of [() => [...parseMessages(datagram)], () => parseAttributes(datagram)]) {
      try {
        parse();
      } catch (error) {
        assert.ok(error instanceof RangeError && /does not fit/.test(error.message), String(error));
      }
    }
  }));
});

Deno.test("lengths that lie are refused", () => {
  assert.throws(() => [...parseMessages(bytes(15, 0, 0, 0, ...Array<number>(12).fill(0)))], /of 15 bytes/);
  assert.throws(
    () => [...parseMessages(bytes(17, 0, 0, 0, ...Array<number>(12).fill(0)))],
    /the 16 that are left/,
  );
  assert.throws(() => [...parseMessages(bytes(1, 2, 3))], /the 3 that are left/);
  assert.throws(() => parseAttributes(bytes(3, 0, 1, 0)), /of 3 bytes/);
  assert.throws(() => parseAttributes(bytes(9, 0, 1, 0, 0, 0, 0, 0)), /the 8 that are left/);
});

Deno.test("attributes are read as numbers and text only if they can be", () => {
  assert.equal(u32(undefined), undefined);
  assert.equal(u32(bytes(1, 2, 3)), undefined);
  assert.equal(u32(bytes(1, 2, 0, 0x80)), 0x80000201);
  assert.equal(text(undefined), undefined);
  assert.equal(text(bytes(97, 98, 0, 99)), "ab");
  assert.equal(text(bytes(97)), "a");
});
