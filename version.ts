/**
 * What this program is: its version and how it was built.
 *
 * {@linkcode STAMP} is the one place a build writes to: `tools/bundle.ts` replaces the text between the
 * quotes in the finished bundle. It is parsed at run time so that a minifier has nothing to fold away.
 *
 * @module
 */

/** Version of the product, as in `deno.json`. */
export const VERSION = "0.1.0";

/** How the running program came to be: from its sources, by `deno compile`, or by sealing. */
export type BuildRoad = "source" | "compiled" | "sealed";

const STAMP: { commit: string; road: BuildRoad } = JSON.parse('{"commit":"","road":"source"}');

/** Commit of the sources, with `-dirty` when they had changes of their own; empty when not known. */
export const COMMIT: string = STAMP.commit;

/** Which road the build took, shown by `--version --verbose`. */
export const BUILD_ROAD: BuildRoad = STAMP.road;
