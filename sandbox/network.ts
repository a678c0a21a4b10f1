/**
 * The pod's network namespace.
 *
 * @module
 */

import { Code, RpcError } from "../rpc/errors.ts";
import type { Spec } from "../oci/spec.ts";
import type { Link } from "../sys/netlink/link.ts";
import type { Rtnetlink } from "../sys/netlink/rtnetlink.ts";
import type { Log } from "./log.ts";

/**
 * Path of the network namespace that the client made; `undefined` when it made none.
 *
 * @throws {RpcError} `INVALID_ARGUMENT` when it is the host's own, or is not there
 */
export function networkNamespace(spec: Spec): string | undefined {
  const path = spec.linux?.namespaces?.find(({ type }) => type === "network")?.path ?? "";
  if (path === "") return undefined;
  const [theirs, ours] = [inode(path), inode("/proc/self/ns/net")];
  if (theirs === undefined) {
    throw new RpcError(Code.InvalidArgument, `network namespace "${path}" does not exist`);
  }
  if (theirs === ours) {
    throw new RpcError(
      Code.InvalidArgument,
      `network namespace "${path}" is the host's own: a virtual machine cannot share it`,
    );
  }
  return path;
}

/**
 * Says, once per sandbox, that a network which was set up for it does not reach into the guest.
 *
 * A namespace with nothing but loopback is no network, and nothing is said.
 */
export async function reportLinks(netns: string, log: Log): Promise<void> {
  const rtnetlink = await import("../sys/netlink/rtnetlink.ts");
  const links = (await linksOf(new rtnetlink.Rtnetlink(netns))).filter(({ flags }) =>
    (flags & IFF_LOOPBACK) === 0
  );
  if (links.length === 0) return;
  const names = links.map(({ name }) => `"${name}"`).join(", ");
  log.write("warning", `the guest has no network: links of "${netns}" are not connected: ${names}`);
}

async function linksOf(netlink: Rtnetlink): Promise<Link[]> {
  try {
    return await netlink.links();
  } finally {
    netlink.close();
  }
}

const IFF_LOOPBACK = 0x8;

function inode(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
