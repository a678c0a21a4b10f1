/**
 * The whole product is this one program; the name it is called by chooses its role.
 *
 * Each role is a dynamic import, so that none pays for another's modules.
 *
 * @module
 */

import { calledAs, roleOf } from "./cmd/role.ts";

async function main(): Promise<number> {
  const argv0 = calledAs();
  switch (roleOf(argv0, Deno.pid)) {
    case "shim":
      return (await import("./cmd/shim/main.ts")).main(argv0, Deno.args);
    case "agent":
      if (Deno.args[0] === "--version") return await printVersion("kata-agent");
      return (await import("./cmd/agent.ts")).main(argv0, Deno.args);
    case "monitor":
      if (Deno.args[0] === "--version") return await printVersion("kata-monitor");
      console.error("kata-monitor: not part of this version");
      return 1;
    case "runtime":
      return (await import("./cmd/runtime/main.ts")).main(argv0, Deno.args);
  }
}

async function printVersion(name: string): Promise<number> {
  return (await import("./cmd/runtime/version.ts")).printVersion(name, Deno.args);
}

// No top-level await: a sealed executable evaluates its modules as functions.
main().then(Deno.exit, (error) => {
  console.error(`kata: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
});
