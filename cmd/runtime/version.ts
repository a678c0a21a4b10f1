import { BUILD_ROAD, COMMIT, VERSION } from "../../version.ts";

/** The version of the OCI runtime specification that the runtime speaks. */
export const OCI_VERSION = "1.2.0";

/** The three lines that `kata-runtime version` has always printed, without the final newline. */
export function versionText(name: string): string {
  return `${name}  : ${VERSION}\n   commit   : ${COMMIT || "<<unknown>>"}\n   OCI specs: ${OCI_VERSION}`;
}

/** Prints the version; with `--verbose` also how the executable was made. */
export function printVersion(name: string, args: readonly string[]): number {
  const lines = [versionText(name === "" ? "kata-runtime" : name)];
  if (args.includes("--verbose")) {
    lines.push(
      `   built    : ${BUILD_ROAD}`,
      `   runtime  : Deno ${Deno.version.deno}, ${Deno.build.target}`,
    );
  }
  console.log(lines.join("\n"));
  return 0;
}
