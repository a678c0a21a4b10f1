import assert from "node:assert/strict";
import {
  bindAttributes,
  MOUNT_ATTRIBUTES as A,
  MOUNT_FLAGS as F,
  parseMountOptions,
  propagationOf,
} from "./mount_options.ts";

const NOTHING = {
  bind: false,
  recursiveBind: false,
  flags: 0,
  cleared: 0,
  propagation: [],
  recursive: { set: 0, clear: 0 },
  data: [],
  extensions: [],
};

Deno.test("parseMountOptions() sorts options into flags, propagation, and data", () => {
  assert.deepEqual(parseMountOptions(["nosuid", "strictatime", "mode=755", "size=65536k"]), {
    ...NOTHING,
    flags: F.NOSUID | F.STRICTATIME,
    data: ["mode=755", "size=65536k"],
  });
  assert.deepEqual(parseMountOptions(["rbind", "rprivate", "ro", "slave"]), {
    ...NOTHING,
    bind: true,
    recursiveBind: true,
    flags: F.RDONLY,
    propagation: [{ type: F.PRIVATE, recursive: true }, { type: F.SLAVE, recursive: false }],
  });
  assert.deepEqual(parseMountOptions(["defaults", "", "acl", "idmap=uids=0-1-2", "tmpcopyup"]), {
    ...NOTHING,
    data: ["acl"],
    extensions: ["idmap=uids=0-1-2", "tmpcopyup"],
  });
});

Deno.test("parseMountOptions() lets later options override earlier ones", () => {
  assert.deepEqual(parseMountOptions(["ro", "rw"]), { ...NOTHING, cleared: F.RDONLY });
  assert.deepEqual(parseMountOptions(["rw", "ro"]), { ...NOTHING, flags: F.RDONLY });
  assert.deepEqual(parseMountOptions(["rro", "rrw"]).recursive, { set: 0, clear: A.RDONLY });
  assert.deepEqual(parseMountOptions(["rnoatime", "rstrictatime"]).recursive, {
    set: A.STRICTATIME,
    clear: A.ATIME,
  });
});

Deno.test("parseMountOptions() clears the whole atime field for recursive atime kinds", () => {
  assert.deepEqual(parseMountOptions(["rnoatime"]).recursive, { set: A.NOATIME, clear: A.ATIME });
  assert.deepEqual(parseMountOptions(["rrelatime", "rro"]).recursive, { set: A.RDONLY, clear: A.ATIME });
});

Deno.test("bindAttributes() speaks only about what the options mention", () => {
  const attributes = (...options: string[]) => bindAttributes(parseMountOptions(options));
  assert.deepEqual(attributes("rbind", "ro"), { set: A.RDONLY, clear: 0 });
  assert.deepEqual(attributes("rw", "nosuid", "exec"), { set: A.NOSUID, clear: A.RDONLY | A.NOEXEC });
  assert.deepEqual(attributes("noatime", "nosymfollow"), { set: A.NOATIME | A.NOSYMFOLLOW, clear: A.ATIME });
  assert.deepEqual(attributes("norelatime"), { set: A.STRICTATIME, clear: A.ATIME });
  assert.deepEqual(attributes("rbind"), { set: 0, clear: 0 });
});

Deno.test("propagationOf() knows the eight words and nothing else", () => {
  assert.deepEqual(propagationOf("rshared"), { type: F.SHARED, recursive: true });
  assert.deepEqual(propagationOf("unbindable"), { type: F.UNBINDABLE, recursive: false });
  for (const word of ["ro", "rprivat", "", "r", "rrshared"]) assert.equal(propagationOf(word), undefined);
});
