import assert from "node:assert/strict";
import { isErrno } from "../../sys/errors.ts";
import { SIGNALS } from "../../sys/signals.ts";
import { killProcess } from "../../sys/process.ts";
import { qemu } from "./qemu.ts";
import { withTinyVm } from "./testing/config.ts";

Deno.test("a VM boots its kernel, shows its console, and is gone when it is stopped", () =>
  withTinyVm(async ({ config, line }) => {
    const vm = await qemu.start(config);
    await line(/^tiny kernel$/);
    assert.deepEqual(vm.consoleTail, ["tiny kernel"]);
    assert.equal(vm.accelerator, "tcg");
    assert.deepEqual(vm.pids, [vm.pid]);
    assert.equal(Deno.readTextFileSync(`${config.dir}/pid`).trim(), String(vm.pid));
    await Promise.all([vm.stop(), vm.stop()]);
    assert.deepEqual(await vm.exited, {
      cause: "stopped",
      message: "the VM was stopped",
      status: { code: 0, signal: 9 },
      consoleTail: ["tiny kernel"],
    });
    assert.throws(() => killProcess(vm.pid, 0), (error) => isErrno(error, "ESRCH"));
    await vm.stop();
    await assert.rejects(vm.connectAgent(), /^Error: cannot reach the agent: the VM was stopped$/);
    await assert.rejects(vm.pause(), /control connection to QEMU is closed|QEMU closed/);
  }));

Deno.test("a guest that panics and resets ends its VM with the panic and what came before it", () =>
  withTinyVm(async ({ config, kernel }) => {
    const text = "one\ntwo\n[ 0.1] Kernel panic - not syncing: no root\nCall Trace:\n";
    await using vm = await qemu.start({ ...config, kernel: kernel(text, "reset") });
    const { cause, message, consoleTail } = await vm.exited;
    assert.equal(cause, "panicked");
    assert.equal(
      message,
      "the guest's kernel panicked: no root; on its console before that: one | two",
    );
    assert.equal(consoleTail.at(-1), "Call Trace:");
  }));

Deno.test("a guest that resets itself ends its VM", () =>
  withTinyVm(async ({ config, kernel }) => {
    await using vm = await qemu.start({ ...config, kernel: kernel("bye\n", "reset") });
    const { cause, message, status } = await vm.exited;
    assert.deepEqual({ cause, status }, { cause: "shutdown", status: { code: 0, signal: 0 } });
    assert.equal(message, "the guest reset itself; on its console at its end: bye");
  }));

for (
  const [signal, message] of [
    ["SIGKILL", "QEMU was killed by SIGKILL"],
    // what a guest's memory in a full folder ends with
    [
      "SIGBUS",
      "QEMU was killed by SIGBUS: the folder or the huge pages that its guest's memory is in are probably full",
    ],
  ] as const
) {
  Deno.test(`a QEMU that is killed by ${signal} is reported, and leaves nothing`, () =>
    withTinyVm(async ({ config, line }) => {
      await using vm = await qemu.start(config);
      await line(/tiny/);
      killProcess(vm.pid, SIGNALS[signal]);
      const { cause, message: said } = await vm.exited;
      assert.deepEqual({ cause, message: said }, { cause: "failed", message });
    }));
}

Deno.test("a paused VM does nothing until it goes on", () =>
  withTinyVm(async ({ config, kernel, console, line }) => {
    await using vm = await qemu.start({ ...config, kernel: kernel("tick\n", "repeat") });
    await line(/tick/);
    await vm.pause();
    // What is on its way still arrives; then there is silence. A guest that runs would never be silent.
    for (let before = -1; before !== console.length;) {
      before = console.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await vm.pause(); // nothing changes
    const silent = console.length;
    await vm.resume();
    while (console.length === silent) await new Promise((resolve) => setTimeout(resolve, 1));
  }));

Deno.test("the agent's port takes one connection after another", () =>
  withTinyVm(async ({ config }) => {
    await using vm = await qemu.start(config);
    assert.equal(vm.agentTransport, "virtio-serial");
    for (let attempt = 0; attempt < 2; attempt++) (await vm.connectAgent()).close();
    await assert.rejects(vm.connectAgent(AbortSignal.abort(new Error("enough"))), /^Error: enough$/);
  }));

Deno.test("files of an earlier VM in the run folder are replaced", () =>
  withTinyVm(async ({ config }) => {
    for (const name of ["qmp.sock", "kata.sock", "pid"]) {
      Deno.writeTextFileSync(`${config.dir}/${name}`, "old");
    }
    await using vm = await qemu.start(config);
    assert.equal(Deno.readTextFileSync(`${config.dir}/pid`).trim(), String(vm.pid));
  }));

Deno.test("a VM does not outlive the process that started it", () =>
  withTinyVm(async ({ config }) => {
    const { onConsole: _console, onLog: _log, ...plain } = config;
    const script = `
      import { qemu } from ${JSON.stringify(new URL("./qemu.ts", import.meta.url).href)};
      const vm = await qemu.start({ ...${JSON.stringify(plain)}, onConsole() {}, onLog() {} });
      console.log(vm.pid);
      await vm.exited;
    `;
    const owner = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", script],
      stdout: "piped",
    }).spawn();
    const output = owner.stdout.getReader();
    const { value } = await output.read();
    const pid = Number(new TextDecoder().decode(value));
    assert.ok(isRunning(pid));
    owner.kill("SIGKILL");
    await owner.status;
    await output.cancel();
    while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    // nobody was left to remove them
    for (const name of ["qmp.sock", "kata.sock", "pid"]) await Deno.remove(`${config.dir}/${name}`);
  }));

/** Whether a process runs; one that nobody has reaped yet does not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
