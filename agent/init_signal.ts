import { SIGNALS } from "../sys/signals.ts";

/**
 * The signal to send to the first process of a container instead of the one that is wanted.
 *
 * The kernel drops a signal that would only have its default effect for the first process of a pid namespace. Somebody
 * who asks such a process to end would wait in vain, so a SIGTERM that it does not care for becomes a SIGKILL.
 */
export function initSignal(pid: number, number: number): number {
  return number === SIGNALS.SIGTERM && !caresFor(pid, number) ? SIGNALS.SIGKILL : number;
}

/** Whether the process blocks, ignores or catches the signal. True if it cannot be known: then the signal stays. */
function caresFor(pid: number, number: number): boolean {
  let status: string;
  try {
    status = Deno.readTextFileSync(`/proc/${pid}/status`);
  } catch {
    return true;
  }
  const bit = 1n << BigInt(number - 1);
  return [...status.matchAll(/^Sig(?:Blk|Ign|Cgt):\s*([0-9a-f]+)$/gm)].some(([, mask]) =>
    (BigInt(`0x${mask}`) & bit) !== 0n
  );
}
