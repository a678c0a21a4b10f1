/**
 * `deno task docs`: prints the pages that are made from the program itself; `--check` fails where one is not up to date.
 *
 * @module
 */

import { configurationPage } from "../config/texts/page.ts";
import { cliPage } from "./cli_page.ts";
import { run } from "./process.ts";
import { ROOT } from "./paths.ts";

/** Pages by their path in the repository. */
const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  "docs/configuration.md": configurationPage,
  "docs/cli.md": cliPage,
};

/** A page as the repository's formatter has it. */
async function formatted(page: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".md" });
  try {
    await Deno.writeTextFile(file, page);
    await run([Deno.execPath(), "fmt", "--quiet", "--line-width", "110", file]);
    return await Deno.readTextFile(file);
  } finally {
    await Deno.remove(file);
  }
}

/** The pages that are not what would be printed, with what would be. */
export async function stalePages(): Promise<Map<string, string>> {
  const stale = new Map<string, string>();
  for (const [path, page] of Object.entries(PAGES)) {
    const fresh = await formatted(await page());
    const kept = await Deno.readTextFile(`${ROOT}/${path}`).catch(() => "");
    if (fresh !== kept) stale.set(path, fresh);
  }
  return stale;
}

if (import.meta.main) {
  const stale = await stalePages();
  for (const [path, text] of stale) {
    if (Deno.args.includes("--check")) console.error(`${path} is not up to date, run "deno task docs"`);
    else await Deno.writeTextFile(`${ROOT}/${path}`, text);
  }
  if (Deno.args.includes("--check") && stale.size > 0) Deno.exit(1);
}
