import assert from "node:assert/strict";
import { inFolder, MINIMAL } from "../../../config/test_files.ts";
import type { AppContext } from "../app.ts";
import { DEFAULT_GLOBALS } from "../globals.ts";
import { check } from "./check.ts";
import { printDefault } from "./default.ts";
import { show } from "./show.ts";

/** What a command wrote, and its exit code. */
interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Runs a command; its folder is "DIR" in what it wrote. */
async function run(dir: string, command: (this: AppContext) => Promise<void> | void): Promise<Ran> {
  let [stdout, stderr] = ["", ""];
  const context: AppContext = {
    process: {
      stdout: { write: (text) => stdout += text },
      stderr: { write: (text) => stderr += text },
      exitCode: undefined,
    },
    globals: { ...DEFAULT_GLOBALS, config: `${dir}/configuration.toml` },
  };
  await command.call(context);
  const plain = (text: string) => text.replaceAll(dir, "DIR");
  return { stdout: plain(stdout), stderr: plain(stderr), code: Number(context.process.exitCode ?? 0) };
}

const FLAGS = { json: false } as const;

Deno.test("config check tells every mistake in a line, and how many there are", async () => {
  const text = `${MINIMAL}default_memroy = 1\nmachine_type = "q53"\ndefault_memory = true\n`;
  await inFolder({ "configuration.toml": text, "good.toml": MINIMAL }, async (dir) => {
    assert.deepEqual(
      await run(dir, function () {
        return check.call(this, FLAGS);
      }),
      {
        stdout: [
          "warning: DIR/configuration.toml:7: hypervisor.qemu.default_memroy is not a known key and has no " +
          'effect: did you mean "default_memory"?',
          'error: DIR/configuration.toml:8: hypervisor.qemu.machine_type = "q53": must be "q35", "microvm" or "virt": ' +
          'did you mean "q35"?',
          "error: DIR/configuration.toml:9: hypervisor.qemu.default_memory = true: must be an integer, not a boolean",
          "DIR/configuration.toml: 2 mistakes, 1 warning",
          "",
        ].join("\n"),
        stderr: "",
        code: 1,
      },
    );
    assert.deepEqual(
      await run(dir, function () {
        return check.call(this, FLAGS, `${dir}/good.toml`);
      }),
      { stdout: "DIR/good.toml: no mistakes, no warnings\n", stderr: "", code: 0 },
    );
  });
});

Deno.test("config check --json has a mistake's parts", async () => {
  await inFolder(
    { "configuration.toml": `${MINIMAL}shared_fs_ = 1\nhypervisor_loglevel = 9\n` },
    async (dir) => {
      const { stdout, code } = await run(dir, function () {
        return check.call(this, { json: true });
      });
      assert.equal(code, 0, "there are warnings only");
      const { path, mistakes } = JSON.parse(stdout);
      assert.equal(path, "DIR/configuration.toml");
      assert.deepEqual(mistakes[0], {
        severity: "warning",
        text: "DIR/configuration.toml:7: hypervisor.qemu.shared_fs_ is not a known key and has no effect: " +
          'did you mean "shared_fs"?',
        file: "DIR/configuration.toml",
        line: 7,
        key: "hypervisor.qemu.shared_fs_",
        problem: "is not a known key and has no effect",
        near: "shared_fs",
      });
      assert.equal(mistakes[1].value, 9);
    },
  );
});

Deno.test("config check says that there is no file", async () => {
  await inFolder({}, async (dir) => {
    const { stdout, code } = await run(dir, function () {
      return check.call(this, FLAGS, `${dir}/none.toml`);
    });
    assert.equal(
      stdout,
      'error: cannot read the configuration file "DIR/none.toml": it does not exist\nno configuration: 1 mistake, no warnings\n',
    );
    assert.equal(code, 1);
  });
});

Deno.test("config show tells where each value comes from", async () => {
  const text =
    `${MINIMAL}default_memory = 512\nenable_annotations = [".*"]\n[runtime]\njaeger_password = "secret"\n`;
  const files = { "configuration.toml": text, "config.d/a": "[agent.kata]\n\ndial_timeout = 7\n" };
  const annotation = ["io.katacontainers.config.hypervisor.kernel_params=a=1"];
  await inFolder(files, async (dir) => {
    const { stdout, stderr, code } = await run(dir, function () {
      return show.call(this, { json: false, annotation });
    });
    assert.match(
      stderr,
      /^warning: [^\n]*:10: runtime\.jaeger_password = "\*\*\*": has no effect: [^\n]*\n$/,
    );
    assert.equal(code, 0);
    const line = (key: string) =>
      stdout.split("\n").find((text) => text.startsWith(`${key} = `))?.replace(/ +#/, " #");
    assert.equal(line("default_memory"), "default_memory = 512 # DIR/configuration.toml:7");
    assert.equal(line("dial_timeout"), "dial_timeout = 7 # DIR/config.d/a:3");
    assert.equal(
      line("kernel_params"),
      'kernel_params = "a=1" # io.katacontainers.config.hypervisor.kernel_params',
    );
    assert.equal(line("msize_9p"), "msize_9p = 8192 # default");
    assert.equal(line("jaeger_password"), 'jaeger_password = "***" # DIR/configuration.toml:10');
    assert.doesNotMatch(stdout + stderr, /secret/);
    const json = await run(dir, function () {
      return show.call(this, { json: true, annotation });
    });
    const { path, dropIns, values } = JSON.parse(json.stdout);
    assert.deepEqual([path, dropIns], ["DIR/configuration.toml", ["DIR/config.d/a"]]);
    assert.deepEqual(values["agent.kata.dial_timeout"], {
      value: 7,
      source: "drop-in",
      file: "DIR/config.d/a",
      line: 3,
    });
    assert.deepEqual(values["hypervisor.qemu.msize_9p"], { value: 8192, source: "default" });
    assert.deepEqual(values["hypervisor.qemu.kernel_params"], {
      value: "a=1",
      source: "annotation",
      annotation: "io.katacontainers.config.hypervisor.kernel_params",
    });
  });
});

Deno.test("config show tells mistakes beside the values, and fails", async () => {
  await inFolder({ "configuration.toml": `${MINIMAL}default_memory = 1\n` }, async (dir) => {
    const { stdout, stderr, code } = await run(dir, function () {
      return show.call(this, FLAGS);
    });
    assert.match(stdout, /^default_memory = 2048 +# default$/m);
    assert.match(stderr, /^error: DIR\/configuration.toml:7: .* must be at least 256 MiB\n$/);
    assert.equal(code, 1);
  });
});

Deno.test("an annotation on the command line has a name and a value", async () => {
  await inFolder({ "configuration.toml": MINIMAL }, async (dir) => {
    await assert.rejects(
      run(dir, function () {
        return check.call(this, { json: false, annotation: ["x"] });
      }),
      /^Error: --annotation must be NAME=VALUE: it is "x"$/,
    );
  });
});

Deno.test("config default takes the guest that is named", async () => {
  const text = async (flags: Parameters<typeof printDefault>[0]) =>
    (await run("/nowhere", function () {
      return printDefault.call(this, flags);
    })).stdout;
  assert.match(await text({}), /^kernel = "\/usr\/share\/kata-containers\/vmlinux"$/m);
  const given = await text({ kernel: "./k", image: "./i" });
  assert.match(given, /^kernel = ".\/k"$/m);
  assert.match(given, /^image = ".\/i"$/m);
  assert.match(given, /^initrd = ""$/m);
  await assert.rejects(text({ initrd: "a", image: "b" }), /--initrd and --image exclude each other/);
});
