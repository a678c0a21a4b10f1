import assert from "node:assert/strict";
import { applyEnvironment, DEFAULT_OPTIONS, parseArguments, parseKernelCommandLine } from "./options.ts";
import { formatServerAddress, parseServerAddress } from "./server_address.ts";

Deno.test("a kernel command line without the agent's parameters gives the defaults", () => {
  assert.deepEqual(parseKernelCommandLine("console=hvc0 panic=1 quiet\n"), DEFAULT_OPTIONS);
});

Deno.test("the agent's parameters are read, others and unknown ones are not", () => {
  const options = parseKernelCommandLine(
    "agent.log=debug  agent.server_addr=virtio-serial://agent.channel.0 agent.container_pipe_size=2097152 " +
      "agent.hotplug_timeout=7 agent.newer=1 xagent.log=error agent.devmode agent.__proto__=x",
  );
  assert.deepEqual(options, {
    logLevel: "debug",
    serverAddress: { kind: "virtio-serial", name: "agent.channel.0" },
    containerPipeSize: 2097152,
    hotplugTimeoutMs: 7000,
    debugConsole: true,
    debugConsolePort: 0,
    runDir: "/run/kata-containers",
    cgroupRoot: "/sys/fs/cgroup",
  });
});

Deno.test("the debug console is switched on by bare words only, and has a port", () => {
  const port = "agent.debug_console_vport=1026";
  for (
    const [line, expected] of [
      ["", [false, 0]],
      ["agent.debug_console", [true, 0]],
      ["agent.devmode", [true, 0]],
      ["agent.debug_console=true agent.devmode=1", [false, 0]],
      [port, [false, 1026]],
      [`agent.debug_console ${port}`, [true, 1026]],
    ] as const
  ) {
    const { debugConsole, debugConsolePort } = parseKernelCommandLine(line);
    assert.deepEqual([debugConsole, debugConsolePort], expected, line);
  }
});

Deno.test("of a parameter that comes twice the last one counts, and a time-out of zero is none", () => {
  const options = parseKernelCommandLine("agent.log=warning agent.log=fatal agent.hotplug_timeout=0");
  assert.equal(options.logLevel, "critical");
  assert.equal(options.hotplugTimeoutMs, 3000);
});

Deno.test("a value that makes no sense is refused with the parameter's name", () => {
  const messages: readonly (readonly [string, RegExp])[] = [
    ["agent.log=loud", /"agent\.log" must be one of trace, .*: it is "loud"/],
    ["agent.container_pipe_size=-1", /"agent\.container_pipe_size" must be a number.*: it is "-1"/],
    ["agent.hotplug_timeout=", /"agent\.hotplug_timeout" must be a number.*: it is ""/],
    ["agent.server_addr=tcp://1.2.3.4", /"agent\.server_addr" must be "vsock:.*: it is "tcp:\/\/1\.2\.3\.4"/],
  ];
  for (const [line, message] of messages) assert.throws(() => parseKernelCommandLine(line), message);
});

Deno.test("server addresses are read and written", () => {
  const texts = [
    "vsock://-1:1024",
    "vsock://3:5",
    "virtio-serial://agent.channel.0",
    "unix:///tmp/a",
    "unix://@a",
  ];
  for (const text of texts) assert.equal(formatServerAddress(parseServerAddress(text, "x")), text);
});

Deno.test("server addresses that cannot be are refused", () => {
  const texts = [
    "",
    "vsock://",
    "vsock://1",
    "vsock://-1:4294967295",
    "vsock://-1:4294967296",
    "vsock://-2:1",
    "vsock://4294967296:1",
    "virtio-serial://",
    "virtio-serial://../x",
    "unix://",
    "unix://relative",
    "UNIX:///x",
  ];
  for (const text of texts) assert.throws(() => parseServerAddress(text, "address"), /address must be/, text);
});

Deno.test("arguments win over the command line, and the environment over both of its keys", () => {
  const base = parseKernelCommandLine("agent.log=error");
  const variables: Record<string, string> = {
    KATA_AGENT_SERVER_ADDR: "unix:///a",
    KATA_AGENT_LOG_LEVEL: "trace",
  };
  const fromEnvironment = applyEnvironment((name) => variables[name], base);
  assert.equal(fromEnvironment.logLevel, "trace");
  assert.deepEqual(fromEnvironment.serverAddress, { kind: "unix", path: "/a" });
  const options = parseArguments(
    ["--server-addr=unix:///b", "--run-dir", "/tmp/x/", "--log", "info"],
    fromEnvironment,
  );
  assert.deepEqual(options.serverAddress, { kind: "unix", path: "/b" });
  assert.equal(options.runDir, "/tmp/x");
  assert.equal(options.logLevel, "info");
});

Deno.test("arguments that make no sense are refused", () => {
  const refused: readonly (readonly [string[], RegExp])[] = [
    [["--what"], /unknown argument "--what"/],
    [["what"], /unknown argument "what"/],
    [["--log"], /argument "--log" of the agent needs a value/],
    [["--run-dir", "run"], /"--run-dir" must be an absolute path.*: it is "run"/],
    [["--run-dir", "/run/../etc"], /must be an absolute path/],
    [["--run-dir", "/"], /must be an absolute path/],
  ];
  for (const [args, message] of refused) assert.throws(() => parseArguments(args, DEFAULT_OPTIONS), message);
});
