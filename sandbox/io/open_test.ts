import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import { loggerArguments } from "./binary.ts";
import { clientIo, pathOf, schemeOf } from "./open.ts";
import { closeIo } from "./streams.ts";

const owner = { namespace: "default", id: "c1" };

Deno.test("the scheme of a stream's name, and the path in it", () => {
  assert.equal(schemeOf("/run/fifo/a:b"), "fifo");
  assert.equal(schemeOf("file:///var/log/x"), "file");
  assert.equal(schemeOf("binary-v2:///bin/x?a=b"), "binary-v2");
  assert.equal(pathOf("/run/%20"), "/run/%20");
  assert.equal(pathOf("file:///var/log/a%20b"), "/var/log/a b");
});

Deno.test("no names, no streams", async () => {
  const io = await clientIo({ terminal: false, stdin: "", stdout: "", stderr: "" }, owner).open();
  assert.deepEqual(io, {});
});

Deno.test("both outputs are appended to one file, in folders that are made", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const name = `file://${folder}/a/b/log`;
    await Deno.mkdir(`${folder}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${folder}/a/b/log`, "old\n");
    const io = await clientIo({ terminal: false, stdin: "", stdout: name, stderr: name }, owner).open();
    await io.stdout?.write(new TextEncoder().encode("out\n"));
    await io.stderr?.write(new TextEncoder().encode("err\n"));
    await closeIo(io);
    assert.equal(await Deno.readTextFile(`${folder}/a/b/log`), "old\nout\nerr\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("with a terminal the name of standard error is not looked at", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const names = { terminal: true, stdin: "", stdout: `file://${folder}/log`, stderr: "/nowhere/fifo" };
    const io = await clientIo(names, owner).open();
    assert.equal(io.stderr, undefined);
    await closeIo(io);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("streams that cannot be opened are the client's mistake", async () => {
  const names = { terminal: false, stdin: "", stdout: "", stderr: "" };
  await assert.rejects(clientIo({ ...names, stdout: "gopher://x/y" }, owner).open(), {
    code: Code.InvalidArgument,
    message: 'stream "gopher://x/y" must be a FIFO, a file:// or a binary:// URI',
  });
  await assert.rejects(clientIo({ ...names, stdin: "/nowhere/fifo" }, owner).open(), {
    code: Code.InvalidArgument,
  });
});

Deno.test("a logging program gets every key once, with its first value", () => {
  const uri = new URL("binary:///bin/my%20logger?a=1&b=&a=2&c");
  assert.deepEqual(loggerArguments(uri), ["/bin/my logger", "a", "1", "b", "", "c", ""]);
});

Deno.test("a logging program gets the output, and ends with it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const script = `${folder}/logger`;
    const text = `#!/bin/sh
trap : TERM
echo "$CONTAINER_NAMESPACE/$CONTAINER_ID $1=$2" > ${folder}/log
exec 5>&-
cat <&3 >> ${folder}/log
cat <&4 >> ${folder}/log
`;
    await Deno.writeTextFile(script, text, { mode: 0o755 });
    const name = `binary://${script}?key=value`;
    const io = await clientIo({ terminal: false, stdin: "", stdout: name, stderr: name }, owner).open();
    await io.stdout?.write(new TextEncoder().encode("out\n"));
    await io.stderr?.write(new TextEncoder().encode("err\n"));
    await closeIo(io);
    assert.equal(await Deno.readTextFile(`${folder}/log`), "default/c1 key=value\nout\nerr\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a logging program that ends before it is ready is an error where readiness is asked for", async () => {
  const name = "binary-v2:///bin/true";
  await assert.rejects(clientIo({ terminal: false, stdin: "", stdout: name, stderr: name }, owner).open(), {
    message: /ended \(status 0\) before it was ready/,
  });
});
