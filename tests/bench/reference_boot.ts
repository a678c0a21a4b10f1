import { encodeCpio } from "../../guest/cpio.ts";
import { run } from "../../tools/process.ts";

/** The whole program of the reference guest: it says that it runs, and stays. */
const SOURCE = `#include <fcntl.h>
#include <unistd.h>
int main(void) {
  int console = open("/dev/console", O_WRONLY);
  write(console, "reference-init-runs\\n", 20);
  for (;;) pause();
}
`;

/** What the reference guest writes on its console. */
export const REFERENCE_LINE = /reference-init-runs/;

/** An initrd with nothing but a static /init of a few lines, made with the system's C compiler. */
export async function referenceInitrd(folder: string): Promise<string> {
  await Deno.writeTextFile(`${folder}/init.c`, SOURCE);
  await run(["gcc", "-static", "-Os", "-o", `${folder}/init`, `${folder}/init.c`]);
  const archive = encodeCpio([
    { kind: "directory", path: "dev" },
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, data: await Deno.readFile(`${folder}/init`) },
  ]);
  const path = `${folder}/reference.img`;
  await Deno.writeFile(path, archive);
  return path;
}
