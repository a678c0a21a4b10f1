/**
 * `deno task docs`: prints docs/configuration.md from the configuration's schema; `--check` fails where it is not up to
 * date.
 *
 * @module
 */

import { configurationPage } from "../config/texts/page.ts";
import { run } from "./process.ts";
import { ROOT } from "./paths.ts";

const PAGE = `${ROOT}/docs/configuration.md`;

/** The page as the repository's formatter has it. */
async function formatted(): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".md" });
  try {
    await Deno.writeTextFile(file, configurationPage());
    await run([Deno.execPath(), "fmt", "--quiet", "--line-width", "110", file]);
    return await Deno.readTextFile(file);
  } finally {
    await Deno.remove(file);
  }
}

const fresh = await formatted();
const kept = await Deno.readTextFile(PAGE).catch(() => "");
if (Deno.args.includes("--check")) {
  if (fresh !== kept) {
    console.error('docs/configuration.md is not up to date, run "deno task docs"');
    Deno.exit(1);
  }
} else if (fresh !== kept) await Deno.writeTextFile(PAGE, fresh);
