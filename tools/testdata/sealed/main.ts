/** A small program for the tests of sealing: says what it sees of the world, as JSON. */
import { count } from "./shared.ts";
import { BUILD_ROAD, COMMIT, VERSION } from "../../../version.ts";

async function main(): Promise<number> {
  count();
  switch (Deno.args[0]) {
    case "report":
      return (await import("./report.ts")).report({ VERSION, COMMIT, BUILD_ROAD });
    case "linger":
      await new Promise((resolve) => setTimeout(resolve, 200));
      return 0;
    case "replaced": {
      const path = Deno.execPath();
      Deno.removeSync(path);
      Deno.writeTextFileSync(path, "another version");
      return (await import("./report.ts")).report({ VERSION, COMMIT, BUILD_ROAD });
    }
    case "resident":
      return (await import("./report.ts")).resident(Number(Deno.args[1]), Number(Deno.args[2]));
    case "fail":
      throw new Error("failed as asked");
    default:
      console.log("nothing asked");
      return 3;
  }
}

main().then(Deno.exit);
