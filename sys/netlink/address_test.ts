import assert from "node:assert/strict";
import fc from "fast-check";
import { AF, familyOf, formatIp, formatMac, parseIp, parseMac, parsePrefix } from "./address.ts";

Deno.test("IPv4 addresses are read and written", () => {
  assert.deepEqual([...parseIp("192.0.2.1")], [192, 0, 2, 1]);
  assert.equal(formatIp(new Uint8Array([255, 0, 10, 9])), "255.0.10.9");
  assert.equal(familyOf(parseIp("1.2.3.4")), AF.INET);
});

Deno.test("IPv6 addresses are read in every form, and written in the one of RFC 5952", () => {
  const forms: [string, string][] = [
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"], // a single zero is not left out
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["fe80::0102:0003", "fe80::102:3"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["0:0:1::", "0:0:1::"],
  ];
  for (const [text, canonical] of forms) assert.equal(formatIp(parseIp(text)), canonical, text);
  assert.equal(familyOf(parseIp("::1")), AF.INET6);
});

Deno.test("every address survives being written and read", () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
    const bytes = Uint8Array.from(groups.flatMap((value) => [value >> 8, value & 0xff]));
    const text = formatIp(bytes);
    assert.deepEqual(parseIp(text), bytes);
    // What the platform's own URL parser makes of it.
    assert.equal(
      new URL(`http://[${groups.map((value) => value.toString(16)).join(":")}]/`).hostname,
      `[${text}]`,
    );
  }));
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(formatIp(parseIp(text)), text)));
});

Deno.test("what is no address is refused, by name", () => {
  const bad = ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4/8", "a.b.c.d", " 1.2.3.4"];
  bad.push(
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "g::",
    "::1%eth0",
  );
  bad.push("::1.2.3", "1.2.3.4::", ":1::");
  for (const text of bad) assert.throws(() => parseIp(text), new RangeError(`not an IP address: "${text}"`));
});

Deno.test("prefixes have a length, by default the whole address", () => {
  assert.deepEqual(parsePrefix("10.0.0.0/8"), { address: "10.0.0.0", length: 8 });
  assert.deepEqual(parsePrefix("0.0.0.0/0"), { address: "0.0.0.0", length: 0 });
  assert.deepEqual(parsePrefix("10.0.0.1"), { address: "10.0.0.1", length: 32 });
  assert.deepEqual(parsePrefix("fd00::/64"), { address: "fd00::", length: 64 });
  assert.deepEqual(parsePrefix("::1"), { address: "::1", length: 128 });
  for (
    const text of [
      "10.0.0.0/33",
      "10.0.0.0/",
      "10.0.0.0/8/8",
      "10.0.0.0/-1",
      "fd00::/129",
      "/8",
      "10.0.0.0/x",
    ]
  ) {
    assert.throws(() => parsePrefix(text), RangeError, text);
  }
});

Deno.test("hardware addresses are read and written", () => {
  assert.equal(formatMac(parseMac("02:FC:00:a0:0b:01")), "02:fc:00:a0:0b:01");
  assert.equal(formatMac(new Uint8Array()), "");
  for (const text of ["", "02", "0:1:2:3:4:5", "02-fc-00-00-00-01", "02:fc:00:00:00:0g", "02:fc:"]) {
    if (text === "02") assert.equal(formatMac(parseMac(text)), "02");
    else assert.throws(() => parseMac(text), RangeError, text);
  }
});
