// Opens and closes everything there is, many times, and counts the descriptors before and after.
import { pipe } from "../fd.ts";
import { mkfifo } from "../file.ts";
import { openFifoReader, openFifoWriter } from "../fifo.ts";
import { withNamespace } from "../host.ts";
import { openKvm } from "../kvm.ts";
import { Rtnetlink } from "../netlink/rtnetlink.ts";
import { Uevents } from "../netlink/uevent.ts";
import { AsyncFd, loopIdle } from "../poll.ts";
import { ChildProcess } from "../process.ts";
import { openPty } from "../pty.ts";
import { connectUnix, listenUnix, receiveWithFds, sendWithFds, socketPair } from "../socket.ts";
import { startRaw, tempDir } from "../test_helpers.ts";

using folder = tempDir();
const ignore = () => {};

async function once(i: number) {
  const [r, w] = pipe();
  using reader = new AsyncFd(r);
  using writer = new AsyncFd(w);
  const read = reader.read(new Uint8Array(1));
  await writer.write(new Uint8Array(1));
  await read;
  reader.read(new Uint8Array(1)).catch(ignore);

  const fifo = `${folder.path}/fifo${i}`;
  mkfifo(fifo, 0o600);
  using fifoReader = openFifoReader(fifo);
  using fifoWriter = openFifoWriter(fifo);
  await fifoWriter.write(new Uint8Array(1));
  await fifoReader.read(new Uint8Array(1));

  const pty = openPty();
  using _master = pty.master;
  using _slave = new AsyncFd(pty.slave);

  using listener = listenUnix(`${folder.path}/socket${i}`);
  const accepted = listener.accept();
  using client = await connectUnix(`${folder.path}/socket${i}`);
  using server = await accepted;
  await sendWithFds(client, new Uint8Array(1), [r, w]);
  const { fds } = await receiveWithFds(server, new Uint8Array(1));
  for (const fd of fds) new AsyncFd(fd).close();
  listener.accept().catch(ignore);
  await connectUnix("/does/not/exist").catch(ignore);
  for (const fd of socketPair()) new AsyncFd(fd).close();

  using netlink = new Rtnetlink("/proc/self/ns/net");
  await netlink.links();
  using uevents = new Uevents();
  uevents.next().catch(ignore);
  withNamespace("net", "/proc/self/ns/net", ignore);
  try {
    openKvm();
  } catch {
    // There need be none.
  }

  await using killed = ChildProcess.adopt(startRaw(["sleep", "1000"]));
  killed.wait().catch(ignore);
  await ChildProcess.adopt(startRaw(["true"])).wait();
}

const open = () => Array.from(Deno.readDirSync("/proc/self/fd")).length;

await once(0); // opens what stays: the event loop
await loopIdle();
const before = open();
const rounds = 100;
for (let i = 1; i <= rounds; i++) await once(i);
await loopIdle();
const more = open() - before;
// The runtime opens a few of its own when it sees fit; what is left open in a round is left open a hundred times.
if (more >= rounds / 2) throw new Error(`${rounds} rounds left ${more} descriptors open`);
