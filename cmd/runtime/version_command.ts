import { buildCommand } from "@stricli/core";
import type { AppContext } from "./app.ts";

/** `kata-runtime version`: listed in the help; `main.ts` answers it before this library is loaded. */
export const versionCommand = buildCommand<{ verbose: boolean }, [], AppContext>({
  parameters: {
    flags: { verbose: { kind: "boolean", brief: "also print how the executable was built", default: false } },
  },
  docs: { brief: "print the version" },
  loader: async () => {
    const { printVersion } = await import("./version.ts");
    return (flags) => void printVersion("kata-runtime", flags.verbose ? ["--verbose"] : []);
  },
});
