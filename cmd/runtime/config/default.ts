/**
 * `kata-runtime config default`
 *
 * @module
 */

import { defaultFile } from "../../../config/texts/default_file.ts";
import type { AppContext } from "../app.ts";
import type { DefaultFlags } from "./command.ts";

/** Prints the file. @throws {Error} initrd and image are both given */
export function printDefault(this: AppContext, { kernel, initrd, image }: DefaultFlags): void {
  if (initrd !== undefined && image !== undefined) {
    throw new Error("--initrd and --image exclude each other: give one of them");
  }
  this.process.stdout.write(defaultFile({
    ...(kernel !== undefined && { "hypervisor.kernel": JSON.stringify(kernel) }),
    ...(initrd !== undefined && { "hypervisor.initrd": JSON.stringify(initrd) }),
    ...(image !== undefined && { "hypervisor.image": JSON.stringify(image), "hypervisor.initrd": '""' }),
  }));
}
