import type { NetworkStats } from "../rpc/gen/agent_pb.ts";

/**
 * Counters of the guest's network interfaces but the loopback. All containers of a pod share them.
 *
 * @param text content of `/proc/net/dev`
 */
export function parseNetworkStats(text: string): NetworkStats[] {
  const stats: NetworkStats[] = [];
  // Two lines of headings; then name, eight numbers for what was received, eight for what was sent.
  for (const line of text.split("\n").slice(2)) {
    const match = /^\s*(\S+):\s*(.*)$/.exec(line);
    const name = match?.[1];
    if (name === undefined || name === "lo") continue;
    const numbers = match?.[2]?.trim().split(/\s+/).map(BigInt) ?? [];
    const at = (index: number) => numbers[index] ?? 0n;
    stats.push({
      name,
      rxBytes: at(0),
      rxPackets: at(1),
      rxErrors: at(2),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txErrors: at(10),
      txDropped: at(11),
    });
  }
  return stats;
}

/** As {@link parseNetworkStats}, of the guest as it is now. */
export function readNetworkStats(): NetworkStats[] {
  return parseNetworkStats(Deno.readTextFileSync("/proc/thread-self/net/dev"));
}
