import assert from "node:assert/strict";
import { kernelCommandLine } from "./kernel_params.ts";

const config = {
  debug: false,
  maxVcpus: 4,
  agentParams: ["agent.log=debug"],
  kernelParams: ["quiet=no", "a=1"],
};

Deno.test("kernelCommandLine() puts the user's parameters last and the agent's before them", () => {
  const words = kernelCommandLine("x86_64", config).split(" ");
  assert.deepEqual(words.slice(-3), ["agent.log=debug", "quiet=no", "a=1"]);
  assert.ok(words.includes("nr_cpus=4"));
  assert.ok(words.includes("panic=-1"));
});

Deno.test("kernelCommandLine() says how fast the guest's counter runs where that is known", () => {
  assert.match(kernelCommandLine("x86_64", { ...config, tscKhz: 2_596_145 }), / tsc_early_khz=2596145 /);
  assert.doesNotMatch(kernelCommandLine("x86_64", config), /tsc_early_khz/);
});

Deno.test("kernelCommandLine() is quiet unless it debugs", () => {
  assert.match(kernelCommandLine("x86_64", config), / quiet /);
  const debug = kernelCommandLine("x86_64", { ...config, debug: true });
  assert.match(debug, / debug /);
  assert.doesNotMatch(debug, / quiet /);
});

Deno.test("kernelCommandLine() has the console of the architecture", () => {
  assert.match(kernelCommandLine("x86_64", config), / console=ttyS0 /);
  assert.match(kernelCommandLine("aarch64", config), / console=ttyAMA0 /);
});

Deno.test("kernelCommandLine() refuses what the kernel would cut, and line ends", () => {
  const long = { ...config, kernelParams: ["x".repeat(2048)] };
  assert.throws(
    () => kernelCommandLine("x86_64", long),
    /^Error: the kernel command line must have at most 2047 bytes: it has \d+$/,
  );
  for (const bad of ["a\nb", "a\0b"]) {
    assert.throws(() => kernelCommandLine("x86_64", { ...config, kernelParams: [bad] }), /line end or NUL/);
  }
});

Deno.test("kernelCommandLine() lets an initrd take what memory there is", () => {
  assert.doesNotMatch(kernelCommandLine("x86_64", config), /rootfstype/);
  assert.match(kernelCommandLine("x86_64", { ...config, initrd: "/initrd" }), / rootfstype=ramfs /);
});
