import assert from "node:assert/strict";
import { checkOpenFiles } from "./open_files.ts";

const limits = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units
Max processes             5                    5                    processes
Max open files            ${soft.padEnd(21)}1048576              files
`;

Deno.test("a sandbox is not begun with fewer open files than it needs", () => {
  assert.throws(() => checkOpenFiles(limits("64")), {
    message: "the limit of open files (RLIMIT_NOFILE) must be at least 128: it is 64",
  });
  for (const enough of ["128", "1024", "unlimited"]) checkOpenFiles(limits(enough));
  checkOpenFiles();
});
