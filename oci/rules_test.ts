import assert from "node:assert/strict";
import { SpecError } from "./check.ts";
import { checkRules } from "./rules.ts";
import type { Linux, Mount, Spec } from "./spec.ts";

function specWith(linux: Linux, mounts: Mount[] = []): Spec {
  const process = { user: { uid: 0, gid: 0 }, args: ["a"], cwd: "/" };
  return { ociVersion: "1.2.0", process, root: { path: "/r" }, linux, mounts };
}

const MAPS = [{ containerID: 0, hostID: 1000, size: 10 }];
const MAPPED: Linux = { namespaces: [{ type: "user" }], uidMappings: MAPS, gidMappings: MAPS };
const bind = (options: string[], mount: Partial<Mount> = {}): Mount => ({
  destination: "/x",
  source: "/",
  options,
  ...mount,
});

const CONTRADICTIONS: [Spec, string][] = [
  [
    specWith({ namespaces: [{ type: "user" }], uidMappings: MAPS }),
    "linux.gidMappings must be given for a new user namespace: it is missing",
  ],
  [
    specWith({ ...MAPPED, uidMappings: [{ containerID: 0, hostID: 0, size: 0 }] }),
    "linux.uidMappings[0].size must not be 0",
  ],
  [
    specWith({ ...MAPPED, uidMappings: [...MAPS, { containerID: 9, hostID: 0, size: 5 }] }),
    "linux.uidMappings[1].containerID overlaps with that of linux.uidMappings[0]: it is 9, size 5",
  ],
  [
    specWith({ ...MAPPED, gidMappings: [...MAPS, { containerID: 10, hostID: 1009, size: 5 }] }),
    "linux.gidMappings[1].hostID overlaps with that of linux.gidMappings[0]: it is 1009, size 5",
  ],
  [
    specWith({ ...MAPPED, uidMappings: [{ containerID: 0, hostID: 4_294_967_290, size: 9 }] }),
    "linux.uidMappings[0].size leads beyond the last id 4294967294: hostID is 4294967290, size 9",
  ],
  [specWith({}, [bind(["bind", "idmap"])]), `mounts[0].options cannot have "idmap" without uidMappings`],
  [
    specWith(MAPPED, [bind(["ridmap"], { type: "tmpfs" })]),
    `mounts[0].options can only map ids of a bind: "/x" is none`,
  ],
  [
    specWith({}, [bind(["bind"], { uidMappings: MAPS })]),
    "mounts[0].gidMappings must be given together with uidMappings: it is missing",
  ],
  [
    specWith({}, [bind([], { gidMappings: MAPS })]),
    `mounts[0].gidMappings can only map ids of a bind: "/x" is none`,
  ],
  [
    { ...specWith({ namespaces: [{ type: "uts" }] }), hostname: "é".repeat(33) },
    `hostname must have at most 64 bytes, not 66: it is "${"é".repeat(33)}"`,
  ],
  [
    specWith({ timeOffsets: { boottime: { secs: 1 } } }),
    `linux.timeOffsets needs a namespace of type "time"`,
  ],
  [
    specWith({ namespaces: [{ type: "time" }], timeOffsets: { realtime: { secs: 1 } } }),
    `linux.timeOffsets["realtime"] is not a clock with an offset: these are "monotonic" and "boottime"`,
  ],
  [
    specWith({ namespaces: [{ type: "time", path: "/t" }], timeOffsets: { boottime: { secs: 1 } } }),
    `linux.timeOffsets cannot be set for a time namespace that is joined: "/t"`,
  ],
];

Deno.test("what contradicts itself is refused by its JSON path", () => {
  for (const [spec, problem] of CONTRADICTIONS) {
    assert.throws(
      () => checkRules(spec),
      (error: unknown) => {
        assert.ok(error instanceof SpecError, `${error}`);
        assert.ok(error.message.startsWith(problem), `"${error.message}" is not "${problem}"`);
        return true;
      },
      problem,
    );
  }
});

Deno.test("user and time namespaces with all that they need are accepted", () => {
  checkRules(specWith(MAPPED, [bind(["bind", "idmap"]), bind(["rbind", "ridmap"])]));
  checkRules(specWith({ namespaces: [{ type: "user", path: "/ns" }] }, [bind(["bind", "idmap"])]));
  checkRules(specWith({}, [bind(["bind"], { uidMappings: MAPS, gidMappings: MAPS })]));
  checkRules(specWith({ namespaces: [{ type: "time" }], timeOffsets: { monotonic: { secs: -1 } } }));
});
