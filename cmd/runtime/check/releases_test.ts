import assert from "node:assert/strict";
import type { Finding } from "./capability.ts";
import { runCheck } from "./check.ts";
import type { CheckFlags } from "./command.ts";
import { compareLine, fetchReleases, listLines, releaseUrl } from "./releases.ts";
import { compareSemver, parseSemver } from "./semver.ts";
import { cpuinfo, makeMachine } from "./testing/machine.ts";

const DOWNLOAD = "https://github.com/kata-containers/kata-containers/releases/download";

function entry(version: string, change: Record<string, unknown> = {}) {
  const asset = {
    name: "a.tar",
    created_at: `2026-01-0${version.length}T00:00:00Z`,
    browser_download_url: `${DOWNLOAD}/${version}/a.tar`,
  };
  return { tag_name: version, assets: [{ ...asset, ...change }] };
}

/** A server on this machine that answers everything in one way. */
function server(answer: () => Response | Promise<Response>): AsyncDisposable & { url: string } {
  const running = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  return {
    url: `http://127.0.0.1:${running.addr.port}/releases`,
    [Symbol.asyncDispose]: () => running.shutdown(),
  };
}

/** An address that nobody listens on. */
function nowhere(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return `http://127.0.0.1:${listener.addr.port}/releases`;
}

Deno.test("versions are ordered, pre-releases before their releases", () => {
  const ordered = [
    "1.9.9",
    "2.0.0-alpha",
    "2.0.0-alpha.1",
    "2.0.0-alpha.beta",
    "2.0.0-rc2",
    "2.0.0",
    "2.0.1",
    "10.0.0",
  ];
  const sorted = [...ordered].reverse().map((text) => ({ text, version: parseSemver(text) }))
    .sort((a, b) => a.version && b.version ? compareSemver(a.version, b.version) : assert.fail(a.text));
  assert.deepEqual(sorted.map(({ text }) => text), ordered);
  for (const bad of ["", "1.2", "1.2.3.4", "x1.2.3", "1.2.3-", "latest"]) {
    assert.equal(parseSemver(bad), undefined, bad);
  }
});

Deno.test("the list is read, sorted, and freed of what cannot be used", async () => {
  const list = [
    entry("3.2.0"),
    entry("3.10.0"),
    entry("3.11.0-rc0"),
    entry("nonsense"),
    entry("9.0.0", { browser_download_url: "https://example.org/9" }),
    entry("9.1.0", { name: "" }),
    { tag_name: "9.2.0", assets: [] },
    null,
    7,
  ];
  await using answering = server(() => Response.json(list));
  const final = await fetchReleases(answering.url, { preReleases: false });
  assert.deepEqual(final.releases.map(({ version }) => version), ["3.2.0", "3.10.0"]);
  const all = await fetchReleases(answering.url, { preReleases: true });
  assert.equal(
    listLines(all.releases).split("\n")[2],
    `3.11.0-rc0;2026-01-010T00:00:00Z;${DOWNLOAD}/3.11.0-rc0/a.tar`,
  );
  assert.equal(
    compareLine("3.2.0", final.releases),
    `Newer minor release available: 3.10.0 (url: ${DOWNLOAD}/3.10.0/a.tar, date: 2026-01-06T00:00:00Z)`,
  );
  assert.match(
    compareLine("3.10.0", all.releases),
    /^Newer minor pre-release release available: 3\.11\.0-rc0/,
  );
  assert.match(
    compareLine("3.11.0-alpha", all.releases),
    /^Newer pre-release release available: 3\.11\.0-rc0/,
  );
  assert.match(compareLine("3.10.0-rc1", final.releases), /^Newer major release available/);
  assert.match(compareLine("3.9.9", final.releases), /^Newer minor/);
  assert.match(compareLine("3.10.1", final.releases), /^No newer release available$/);
  assert.equal(compareLine("1.0.0", []), "No releases available");
});

Deno.test("a server that does not answer as it should is a sentence, and never waited for", async () => {
  await using limited = server(() => new Response("API rate limit exceeded", { status: 403 }));
  assert.deepEqual((await fetchReleases(limited.url, { preReleases: false })).releases, []);
  await using broken = server(() => new Response("<html>"));
  await assert.rejects(
    fetchReleases(broken.url, { preReleases: false }),
    /^Error: failed to unpack release details: /,
  );
  await using failing = server(() => new Response("", { status: 500 }));
  await assert.rejects(
    fetchReleases(failing.url, { preReleases: false }),
    /^Error: Get "http:.*": status 500$/,
  );
  const held = Promise.withResolvers<Response>();
  await using silent = server(() => held.promise);
  await assert.rejects(
    fetchReleases(silent.url, { preReleases: false, timeoutMs: 50 }),
    /^Error: Get ".*": no answer in time$/,
  );
  held.resolve(new Response(""));
  await assert.rejects(
    fetchReleases(nowhere(), { preReleases: false }),
    /^Error: Get "http:\/\/127\.0\.0\.1:\d+\/releases": .*refused/,
  );
});

Deno.test("another address is taken only if it is a known one, or on this machine", () => {
  const current = releaseUrl("3.0.0", undefined);
  assert.match(releaseUrl("1.12.0", ""), /\/runtime\/releases$/);
  assert.equal(releaseUrl("1.0.0", current), current);
  assert.equal(releaseUrl("3.0.0", "http://127.0.0.1:8080/r"), "http://127.0.0.1:8080/r");
  for (const bad of ["x", "http://127.0.0.1.example.org/", "https://example.org/releases", `${current}/`]) {
    assert.throws(() => releaseUrl("3.0.0", bad), { message: `Release URL "${bad}" is not valid` });
  }
});

Deno.test("check looks for releases as a user, and goes on without them when nothing else was asked for", async () => {
  const folder = Deno.makeTempDirSync();
  await using answering = server(() => Response.json([entry("99.0.0"), entry("99.1.0-rc0")]));
  try {
    const host = makeMachine(folder, {
      uid: 1000,
      files: { "/proc/cpuinfo": cpuinfo("GenuineIntel", "vmx lm sse4_1"), "/usr/bin/qemu": "" },
    });
    const run = async (flags: Partial<CheckFlags>, url: string, uid = 1000, noNetwork?: string) => {
      const findings: Finding[] = [];
      let stdout = "";
      const error = await runCheck({
        checkVersionOnly: false,
        includeAllReleases: false,
        noNetworkChecks: false,
        onlyListReleases: false,
        strict: false,
        verbose: false,
        ...flags,
      }, {
        host: { ...host, uid },
        output: { log: (finding) => findings.push(finding), print: (text) => stdout += text },
        env: (name) => ({ KATA_RELEASE_URL: url, KATA_CHECK_NO_NETWORK: noNetwork })[name],
        hypervisor: "/usr/bin/qemu",
      }).then(() => undefined, (thrown: Error) => thrown.message);
      return { error, stdout, findings };
    };
    const version = await run({ checkVersionOnly: true }, answering.url);
    assert.match(version.stdout, /^Newer major release available: 99\.0\.0 [^\n]*\n$/);
    const listed = await run({ onlyListReleases: true, includeAllReleases: true }, answering.url);
    assert.deepEqual(listed.stdout.match(/^99[^;]*/gm), ["99.0.0", "99.1.0-rc0"]);
    const closed = nowhere();
    assert.match(
      (await run({ onlyListReleases: true }, closed)).error ?? "",
      /^Get "http:\/\/127\.0\.0\.1:\d+\/releases": /,
    );
    const goesOn = await run({}, closed);
    assert.deepEqual([goesOn.error, goesOn.stdout], [
      undefined,
      "System is capable of running Kata Containers\n",
    ]);
    assert.ok(
      goesOn.findings.some(({ level, message }) =>
        level === "warning" && message.startsWith("cannot look for releases: Get")
      ),
    );
    const root = await run({ checkVersionOnly: true }, closed, 0);
    assert.deepEqual(root.findings.map(({ message }) => message), [
      "Not running network checks as super user",
    ]);
    assert.equal(
      (await run({}, "http://example.org/")).error,
      'Release URL "http://example.org/" is not valid',
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
