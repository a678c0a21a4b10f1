import { DIST } from "../../tools/paths.ts";

/**
 * The program under test, links resolved, with its guest's files beside it: the built one, or the one in the folder
 * that `KATA_TEST_ASSETS` names.
 */
export function programUnderTest(): string {
  return Deno.realPathSync(`${Deno.env.get("KATA_TEST_ASSETS") ?? DIST}/kata`);
}
