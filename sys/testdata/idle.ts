// Leaves descriptors open and registered, but nobody waiting: the program must end by itself.
import { pipe } from "../fd.ts";
import { AsyncFd } from "../poll.ts";

const [r, w] = pipe();
const reader = new AsyncFd(r);
const writer = new AsyncFd(w);
const read = reader.read(new Uint8Array(1));
await new Promise((resolve) => setTimeout(resolve, 1));
await writer.write(new Uint8Array(1));
await read;

// The last one to wait is ended by a timer, while an epoll_wait is under way.
const other = new AsyncFd(pipe()[0]);
const waiting = other.readable();
waiting.catch(() => console.log("no longer waiting"));
setTimeout(() => other.close(), 5);
