import { DIST } from "../../tools/paths.ts";

/**
 * The program under test, links resolved: the built one, or what `KATA_UNDER_TEST` names (with its guest's files
 * beside it).
 */
export function programUnderTest(): string {
  return Deno.realPathSync(Deno.env.get("KATA_UNDER_TEST") ?? `${DIST}/kata`);
}
