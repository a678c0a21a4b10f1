import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { withHostPaths } from "./mount_errors.ts";

const IN_GUEST = [
  { destination: "/proc", source: "proc", type: "proc" },
  { destination: "/etc", source: "/shared/c1-x-etc" },
  { destination: "/etc/app", source: "/shared/c1-y-app" },
];
const ON_HOST = [
  { destination: "/proc", source: "proc", type: "proc" },
  { destination: "/etc", source: "/host/etc" },
  { destination: "/etc/app", source: "/host/app" },
];

/** What becomes of a text of the guest's. */
function told(text: string): string {
  const error = withHostPaths(new RpcError(Code.Unknown, text), IN_GUEST, ON_HOST);
  assert(error instanceof RpcError && error.code === Code.Unknown);
  return error.message;
}

Deno.test("a mount that the guest cannot make is named by its place on the host", () => {
  assert.equal(
    told("bind /shared/c1-y-app on /etc/app: EINVAL"),
    'cannot mount "/host/app" on "/etc/app": EINVAL (is one a folder, and the other a file?)',
  );
  assert.equal(told("bind /shared/c1-x-etc on /etc: EACCES"), 'cannot mount "/host/etc" on "/etc": EACCES');
});

Deno.test("other failures stay as they are", () => {
  for (const text of ["bind /shared/other on /etc: EINVAL", "mount proc on /proc: EPERM", ""]) {
    assert.equal(told(text), text);
  }
  const error = new Error("bind /shared/c1-x-etc on /etc: EINVAL");
  assert.equal(withHostPaths(error, IN_GUEST, ON_HOST), error);
});
