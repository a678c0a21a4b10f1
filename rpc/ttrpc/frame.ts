/**
 * ttrpc frames: ten bytes of header, then data.
 *
 *     0       4       8     9      10
 *     | length | stream | type | flags | data ...      integers are big endian
 */

import type { ByteStream } from "../stream.ts";

/** Largest data of one frame in bytes, header not counted. */
export const MAX_DATA_BYTES = 4 * 1024 * 1024;

/** Bytes in front of the data. */
export const HEADER_BYTES = 10;

/** Kinds of frames. Others are ignored. */
export const FrameType = { Request: 1, Response: 2, Data: 3 } as const;

/** Bits of the flags byte. */
export const Flag = {
  /** the sender has finished its half of the stream */
  RemoteClosed: 0x01,
  /** in a request: the sender is going to send data frames */
  RemoteOpen: 0x02,
  /** the frame carries no message, as opposed to an empty one */
  NoData: 0x04,
} as const;

/** What stands in front of the data. */
export interface FrameHeader {
  streamId: number;
  type: number;
  flags: number;
}

/** A frame that was received. */
export interface Frame extends FrameHeader {
  /** Its own memory; `undefined` when it was longer than allowed, and was dropped. */
  data: Uint8Array | undefined;
  /** Data length as the header said. */
  length: number;
}

/** The connection ended inside a frame. */
export class TruncatedFrame extends Error {
  override name = "TruncatedFrame";
}

/** One frame in one piece, so that it can be written as a unit. @param parts are joined to its data */
export function encodeFrame(header: FrameHeader, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const frame = new Uint8Array(HEADER_BYTES + length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, length);
  view.setUint32(4, header.streamId);
  view.setUint8(8, header.type);
  view.setUint8(9, header.flags);
  let at = HEADER_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/**
 * Takes a stream apart into frames.
 *
 * Small frames are cut from a buffer of fixed size; the data of a big one is read straight into its own memory. So a
 * byte is copied at most once, and a peer that announces much and sends little costs at most one frame's memory.
 */
export class FrameReader {
  readonly #stream: ByteStream;
  readonly #buffer = new Uint8Array(64 * 1024);
  /** bytes in `#buffer` that were not used yet */
  #start = 0;
  #end = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /**
   * The next frame.
   *
   * @returns undefined when the stream ended between two frames
   * @throws {TruncatedFrame} when it ended inside one
   * @throws whatever reading the stream throws
   */
  async next(): Promise<Frame | undefined> {
    // nothing is awaited for a header that is here already
    while (this.#end - this.#start < HEADER_BYTES) {
      const had = this.#end - this.#start;
      if (await this.#fill() > 0) continue;
      if (had === 0) return undefined;
      throw new TruncatedFrame(`connection ended after ${had} of ${HEADER_BYTES} bytes of a frame's header`);
    }
    const view = new DataView(this.#buffer.buffer, this.#start, HEADER_BYTES);
    const length = view.getUint32(0);
    const header = { streamId: view.getUint32(4), type: view.getUint8(8), flags: view.getUint8(9) };
    this.#start += HEADER_BYTES;
    if (length > MAX_DATA_BYTES) {
      await this.#drop(length);
      return { ...header, data: undefined, length };
    }
    const data = new Uint8Array(length);
    await this.#take(data);
    return { ...header, data, length };
  }

  /** Reads once more into the buffer. @returns 0 at the end of the stream */
  async #fill(): Promise<number> {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    const count = await this.#stream.read(this.#buffer.subarray(this.#end));
    this.#end += count;
    return count;
  }

  /** Fills `data` from the buffer and then from the stream. */
  async #take(data: Uint8Array): Promise<void> {
    let have = Math.min(data.length, this.#end - this.#start);
    data.set(this.#buffer.subarray(this.#start, this.#start + have));
    this.#start += have;
    while (have < data.length) {
      // a short rest goes through the buffer, so that what follows it comes with the same read
      const direct = data.length - have >= this.#buffer.length;
      const count = direct ? await this.#stream.read(data.subarray(have)) : await this.#fill();
      if (count === 0) throw truncated(have, data.length);
      if (direct) have += count;
      else {
        const part = this.#buffer.subarray(0, Math.min(count, data.length - have));
        data.set(part, have);
        this.#start = part.length;
        have += part.length;
      }
    }
  }

  async #drop(length: number): Promise<void> {
    let left = length;
    for (;;) {
      const count = Math.min(left, this.#end - this.#start);
      this.#start += count;
      left -= count;
      if (left === 0) return;
      if (await this.#fill() === 0) throw truncated(length - left, length);
    }
  }
}

function truncated(have: number, length: number): TruncatedFrame {
  return new TruncatedFrame(`connection ended after ${have} of ${length} bytes of a frame's data`);
}
