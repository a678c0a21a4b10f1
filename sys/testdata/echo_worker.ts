// Echoes what comes on one descriptor to another, byte by byte, until the end. Runs as a worker: another thread with
// an event loop of its own.
import { AsyncFd } from "../poll.ts";
import { scope } from "./worker_scope.ts";

scope.onmessage = async ({ data: { from, to } }: MessageEvent<{ from: number; to: number }>) => {
  using reader = new AsyncFd(from, "echo in");
  using writer = new AsyncFd(to, "echo out");
  const buffer = new Uint8Array(1000);
  for (;;) {
    const count = await reader.read(buffer);
    if (count === 0) break;
    await writer.write(buffer.subarray(0, count));
  }
  scope.postMessage("done");
};
