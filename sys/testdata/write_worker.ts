// Writes the number of each round to every descriptor, in changing order, and closes them. Runs as a worker, so that
// writes happen at any moment of the reader's thread.
import { closeFd, writeFd } from "../fd.ts";
import { scope } from "./worker_scope.ts";

scope.onmessage = ({ data: { fds, rounds } }: MessageEvent<{ fds: number[]; rounds: number }>) => {
  for (let round = 0; round < rounds; round++) {
    const step = [1, 7, 11, 13][round % 4] ?? 1; // none divides 1000 but 1: each descriptor has its turn
    for (let i = 0; i < fds.length; i++) writeFd(fds[(i * step) % fds.length] ?? -1, new Uint8Array([round]));
  }
  fds.forEach(closeFd);
  scope.postMessage("done");
};
