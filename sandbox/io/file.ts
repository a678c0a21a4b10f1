/**
 * `file://` log files as a process's output.
 *
 * @module
 */

import { dirname } from "../../sys/path.ts";
import type { OutputEnd } from "./streams.ts";

const FOLDER_MODE = 0o755;
const FILE_MODE = 0o640;

/** Appends to a regular file; folders on the way are made. */
export class FileOutput implements OutputEnd {
  #file: Deno.FsFile | undefined;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  static async open(path: string): Promise<FileOutput> {
    await Deno.mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    return new FileOutput(await Deno.open(path, { append: true, create: true, mode: FILE_MODE }));
  }

  async write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length;) {
      if (this.#file === undefined) throw new Error("the log file is closed");
      done += await this.#file.write(data.subarray(done));
    }
  }

  ending(): void {}

  close(): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    return Promise.resolve();
  }
}
