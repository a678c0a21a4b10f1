/**
 * The first program of a guest whose agent lies on a disk: it makes the disk appear, and becomes the agent.
 *
 * @module
 */

import { executableOf } from "../sys/native/static_executable.ts";
import { AT, O } from "../sys/abi/file.ts";
import { MS } from "../sys/mount.ts";
import { Program } from "../sys/program.ts";
import type { Architecture } from "./elf.ts";

/** Where the guest has the disk. */
export const DISK_FOLDER = "guest";

/** The machine's first disk: it has no other one while it boots. */
const DISK = "/dev/vda";

const FAILED =
  "kata: the guest cannot read its disk: it has to be started by the runtime that it was made with\n";

/**
 * The program.
 *
 * @param modules paths of the drivers of the disk and its file system, in the order of loading
 */
export function firstStage(arch: Architecture, modules: readonly string[]): Uint8Array<ArrayBuffer> {
  const program = new Program();
  const failed = program.label("failed");
  const text = (value: string) => program.cstring(value);
  for (const path of modules) {
    const file = program.slot(path);
    program.step(`open ${path}`, "openat", [AT.FDCWD, text(path), O.RDONLY | O.CLOEXEC], {
      save: file,
      onFailure: failed,
    });
    // the one that matters, if it does, shows by the disk that is missing then
    program.step(`load ${path}`, "finit_module", [file, text(""), 0], { mayFail: true });
    program.step(`close ${path}`, "close", [file], { mayFail: true });
  }
  program.step("mount /dev", "mount", [text("dev"), text("/dev"), text("devtmpfs"), MS.NOSUID, 0], {
    mayFail: true,
  });
  const flags = MS.RDONLY | MS.NOSUID | MS.NODEV;
  program.step("mount the disk", "mount", [text(DISK), text(`/${DISK_FOLDER}`), text("erofs"), flags, 0], {
    onFailure: failed,
  });
  // as the kernel would call it
  const args = program.cstrings(["/init"]);
  const environment = program.cstrings(["HOME=/", "TERM=linux"]);
  program.step("become the agent", "execve", [text(`/${DISK_FOLDER}/init`), args, environment], {
    onFailure: failed,
  });
  program.place(failed);
  program.step("say why", "write", [2, text(FAILED), FAILED.length], { mayFail: true });
  program.fail("end", "EIO");
  return executableOf(arch, program);
}
